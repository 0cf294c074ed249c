"""The documentation site: no warning, links, short pages, on a phone too."""

import html.parser
import os
from pathlib import Path
from urllib import parse

import browsers
import children
import pytest

ROOT = Path(__file__).resolve().parent.parent
WORDS = 1500  # of a page, at most
# Lists that nobody reads from the first line to the last.
LISTS = {"CHANGELOG.html", "search.html", "genindex.html", "py-modindex.html"}


class _Page(html.parser.HTMLParser):
    """The targets, links, pictures and words of a page."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.links, self.pictures = set(), [], []
        self.words, self._depth, self._is_hidden = 0, 0, False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.targets.add(found.get("id"))
        if tag == "article":
            self._depth += 1
        if self._depth and tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "img":
            self.pictures.append(found["src"])

    def handle_endtag(self, tag):
        self._depth -= tag == "article"

    def handle_data(self, data):
        if self._depth:
            self.words += len(data.split())


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("furo", reason="needs the extra docs")
    pytest.importorskip("myst_parser")
    folder = tmp_path_factory.mktemp("site")
    options = "-qWE", "--keep-going", "-c", "docs"
    made = children.run_python("-m", "sphinx", *options, ".", folder, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    return folder


@pytest.mark.slow
def test_links_of_the_site_lead_somewhere_and_pages_are_short(site):
    pages = {path: _Page(path) for path in site.rglob("*.html")}
    del pages[site / "index.html"]
    assert len(pages) > 30
    for path, page in pages.items():
        name = str(path.relative_to(site))
        assert page.words <= WORDS or name in LISTS, (name, page.words)
        for picture in page.pictures:
            assert (path.parent / picture).is_file(), (name, picture)
        for link in page.links:
            url = parse.urlsplit(link)
            if url.scheme:
                continue
            place = path.parent / parse.unquote(url.path) if url.path else path
            place = Path(os.path.normpath(place))
            assert place.is_file(), (name, link)
            if url.fragment and place in pages:
                assert url.fragment in pages[place].targets, (name, link)


@pytest.mark.slow
def test_the_start_page_shows_pictures_and_the_first_command(site):
    assert "url=README.html" in (site / "index.html").read_text()
    start = _Page(site / "README.html")
    assert len(start.pictures) == 3
    text = (site / "README.html").read_text()
    assert "nst-tf --flagfile=starry" in text
    assert 'href="docs/flags.html"' in text  # in the sidebar


# Lists what is wider than a phone, unless it scrolls inside its own box. At
# this width the theme has `.content` scroll sideways, not the page.
TOO_WIDE = """() => {
  const wide = document.documentElement.clientWidth;
  const scrolls = (e) => {
    for (; e && !e.matches(".content"); e = e.parentElement) {
      if (getComputedStyle(e).overflowX !== "visible") return true;
    }
    return false;
  };
  const found = [...document.querySelectorAll(".content *")].filter((e) => {
    const box = e.getBoundingClientRect();
    return box.width && (box.right > wide + 1 || box.left < -1) && !scrolls(e);
  }).map((e) => e.outerHTML.slice(0, 120));
  return [document.documentElement.scrollWidth, wide, found];
}"""


@pytest.mark.slow
def test_no_page_scrolls_sideways_on_a_phone(site):
    with browsers.launch() as browser:
        page = browser.new_context(**browsers.PHONE).new_page()
        pages = set(site.rglob("*.html")) - {site / "index.html"}  # it leads on
        for path in sorted(pages):
            page.goto(path.as_uri())
            scrolled, wide, found = page.evaluate(TOO_WIDE)
            name = str(path.relative_to(site))
            assert (scrolled, wide) == (390, 390), name
            assert not found, (name, found)
