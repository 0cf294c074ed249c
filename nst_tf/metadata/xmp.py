"""Reads and writes XMP: credits, the mark of generated pictures, our record.

Properties are a mapping, {"dc:creator": ("Ada",)}, with the prefixes below.
Files have them as an XML packet. Packets are untrusted: they are parsed with
limits and without entities.

Source:
    ISO 16684-1. IPTC Photo Metadata Standard 2023.1.
"""

import re
from collections.abc import Iterator, Mapping
from xml.etree import ElementTree
from xml.sax import saxutils

from PIL import Image

Properties = Mapping[str, tuple[str, ...]]

NAMESPACES = {
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
    "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
    "nst_tf": "urn:nst-tf:xmp:1.0/",  # our own
}
# Property -> its container: none, a list, or one text per language.
CREDITS = {
    "dc:title": "Alt",
    "dc:description": "Alt",
    "dc:creator": "Seq",
    "dc:rights": "Alt",
    "photoshop:Credit": "",
    "xmpRights:Marked": "",
    "xmpRights:UsageTerms": "Alt",
    "xmpRights:WebStatement": "",
}
PLACE = {
    "exif:GPSLatitude": "",
    "exif:GPSLongitude": "",
    "photoshop:City": "",
    "photoshop:State": "",
    "photoshop:Country": "",
    "Iptc4xmpCore:Location": "",
}
MARK, RECORD = "Iptc4xmpExt:DigitalSourceType", "nst_tf:record"
GENERATED = (
    "http://cv.iptc.org/newscodes/digitalsourcetype/"
    "compositeWithTrainedAlgorithmicMedia"
)
LONGEST = 1 << 20  # bytes of a packet
LONGEST_TEXT = 4000  # characters of a kept credit
MOST_TEXT = 12000  # characters of all kept credits
MOST_VALUES = 100  # of one credit
_CONTAINERS = {**CREDITS, **PLACE, MARK: "", RECORD: ""}
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def find(image: Image.Image) -> bytes:
    """Returns the packet of an open Pillow image; empty without one."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    if isinstance(packet, str):
        packet = packet.encode("utf-8", "replace")
    return packet if isinstance(packet, bytes) else b""


def read(packet: bytes) -> dict[str, tuple[str, ...]]:
    """Parses the known properties; returns none for a damaged packet."""
    # Entities could expand without limit, and need a DOCTYPE.
    if len(packet) > LONGEST or b"<!DOCTYPE" in packet:
        return {}
    try:
        text = packet.decode("utf-8-sig").strip("\0\t\n\r ")
        root = ElementTree.fromstring(text)
    except (ValueError, SyntaxError):
        return {}
    names = {_qualify(name): name for name in _CONTAINERS}
    found: dict[str, tuple[str, ...]] = {}
    for rdf in root.iter(f"{_RDF}RDF"):
        for description in rdf.iterfind(f"{_RDF}Description"):
            for tag, value in description.items():
                if tag in names:
                    found.setdefault(names[tag], (value,))
            for element in description:
                if element.tag in names:
                    name = names[element.tag]
                    found.setdefault(name, tuple(_values(element, name)))
    return found


def select(
    properties: Properties, keep_location: bool = False
) -> dict[str, tuple[str, ...]]:
    """Copies the credits of the content, and its place if `keep_location`.

    It drops texts that are too long, and records of our own.
    """
    kept, rest = {}, MOST_TEXT
    for name in (*CREDITS, *(PLACE if keep_location else ())):
        values = tuple(
            text
            for value in properties.get(name, ())[:MOST_VALUES]
            if (text := _NOT_XML.sub("", value).strip())
            and len(text) <= LONGEST_TEXT
            and not text.startswith('{"nst_tf"')
        )
        length = sum(map(len, values))
        if values and length <= rest:
            kept[name] = values
            rest -= length
    return kept


def encode(properties: Properties) -> bytes:
    """Encodes a packet; empty without properties."""
    if not properties:
        return b""
    prefixes = sorted({name.partition(":")[0] for name in properties})
    return "\n".join(
        [
            '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>',
            '<x:xmpmeta xmlns:x="adobe:ns:meta/">',
            f'<rdf:RDF xmlns:rdf="{_RDF[1:-1]}">',
            '<rdf:Description rdf:about=""',
            *(f' xmlns:{each}="{NAMESPACES[each]}"' for each in prefixes),
            ">",
            *(_element(name, properties[name]) for name in sorted(properties)),
            "</rdf:Description>",
            "</rdf:RDF>",
            "</x:xmpmeta>",
            '<?xpacket end="w"?>',
        ]
    ).encode("utf-8", "replace")


def escape(text: str) -> str:
    """Escapes a text for XML; drops characters that XML forbids."""
    return saxutils.escape(_NOT_XML.sub("", text), {"\r": "&#13;"})


def _qualify(name: str) -> str:
    """Writes a name as ElementTree does: {namespace}name."""
    prefix, _, local = name.partition(":")
    return f"{{{NAMESPACES[prefix]}}}{local}"


def _values(element: ElementTree.Element, name: str) -> Iterator[str]:
    """Reads the values of a property; of several languages, the default."""
    items = element.findall(f"*/{_RDF}li") if _CONTAINERS[name] else []
    if _CONTAINERS[name] == "Alt" and len(items) > 1:
        default = [i for i in items if i.get(_LANGUAGE) == "x-default"]
        items = [*default, *items][:1]
    for item in items or [element]:
        yield item.text or ""


def _element(name: str, values: tuple[str, ...]) -> str:
    """Writes a property."""
    container = _CONTAINERS[name]
    if not container:
        return f"<{name}>{escape(values[0])}</{name}>"
    language = ' xml:lang="x-default"' * (container == "Alt")
    items = "".join(
        f"<rdf:li{language}>{escape(value)}</rdf:li>" for value in values
    )
    return f"<{name}><rdf:{container}>{items}</rdf:{container}></{name}>"
