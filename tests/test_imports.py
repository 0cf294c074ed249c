"""Arrows between the modules, and that importing has no effect."""

import ast
import subprocess
import sys
from pathlib import Path

import nst_tf

PACKAGE = Path(nst_tf.__file__).parent

# What each module may import of the package; nst_tf/README.md is its map.
ARROWS = {
    "__init__": set(),
    "architectures": {"errors"},
    "icc": set(),
    "color": {"icc"},
    "transparency": set(),
    "exif": set(),
    "decoded": set(),
    "profiles": {"icc"},
    "deep_tiff": {"decoded", "profiles"},
    "decoding": {"decoded", "deep_tiff", "device", "profiles"},
    "encoding": {"decoded", "deep_tiff", "device", "transparency"},
    "image_io": {"decoding", "encoding", "files", "transparency"},
    "files": set(),
    "sources": {"decoding", "files", "image_io"},
    "pyramid": {"print_size"},
    "conventions": set(),
    "device": set(),
    "memory": set(),
    "small_network": set(),
    "weights": {"architectures", "files", "small_network"},
    "fusion": set(),
    "gradients": set(),
    "extractors": {"architectures", "fusion", "gradients"},
    "sums": {"device", "fusion", "gradients"},
    "host_images": set(),
    "bands": {"host_images"},
    "tiles": set(),
    "narrow": set(),
    "losses": {"bands", "host_images", "narrow", "sums"},
    "total_variation": {"bands", "gradients", "losses", "sums"},
    "style_losses": {"gradients", "losses", "narrow", "sums"},
    "objective": {"bands", "extractors", "losses"},
    "replicas": set(),
    "tile_views": {
        "bands",
        "extractors",
        "host_images",
        "losses",
        "replicas",
        "sums",
        "tiles",
    },
    "tiling": {
        "bands",
        "extractors",
        "host_images",
        "losses",
        "objective",
        "replicas",
        "sums",
        "tile_views",
        "tiles",
    },
    "targets": {
        "conventions",
        "extractors",
        "host_images",
        "image_io",
        "losses",
        "print_size",
        "style_losses",
        "sums",
        "tile_views",
        "tiles",
        "total_variation",
    },
    "guard": {"bands"},
    "lbfgs": {"bands", "guard", "objective"},
    "optimizers": {"bands", "fusion", "guard", "lbfgs", "objective"},
    "checkpoint": {"descent"},
    "descent": {
        "bands",
        "device",
        "host_images",
        "objective",
        "optimizers",
        "pyramid",
    },
    "transfer": {
        "bands",
        "conventions",
        "descent",
        "extractors",
        "host_images",
        "image_io",
        "losses",
        "objective",
        "optimizers",
        "pyramid",
        "replicas",
        "targets",
        "tile_views",
        "tiles",
        "tiling",
    },
    "painting": {"encoding", "image_io", "print_size"},
    "print_size": set(),
    "job": {"architectures", "conventions", "device", "errors", "print_size"},
    "schedules": {"job", "pyramid"},
    "strength": {"job"},
    "masks": set(),
    "places": {"image_io", "job", "masks", "style_settings"},
    "style_settings": {
        "color",
        "image_io",
        "job",
        "print_size",
        "pyramid",
        "sources",
    },
    "outputs": {"encoding", "exif", "files", "image_io", "job", "sources"},
    "inputs": {
        "architectures",
        "color",
        "decoding",
        "image_io",
        "job",
        "places",
        "print_size",
        "pyramid",
        "schedules",
        "sources",
        "style_settings",
        "weights",
    },
    "tile_side": {
        "architectures",
        "device",
        "inputs",
        "job",
        "memory",
        "pyramid",
        "schedules",
        "tiles",
    },
    "stopping": {"descent", "pyramid"},
    "resumption": {
        "checkpoint",
        "descent",
        "device",
        "image_io",
        "inputs",
        "job",
        "weights",
    },
    "metadata": {
        "decoding",
        "encoding",
        "image_io",
        "inputs",
        "job",
        "outputs",
        "resumption",
        "sources",
        "style_settings",
    },
    "starting": {
        "descent",
        "device",
        "inputs",
        "job",
        "replicas",
        "resumption",
        "tile_side",
    },
    "finishing": {
        "color",
        "descent",
        "device",
        "image_io",
        "inputs",
        "job",
        "metadata",
        "outputs",
        "painting",
        "transparency",
    },
    "execution": {
        "conventions",
        "descent",
        "device",
        "extractors",
        "finishing",
        "image_io",
        "inputs",
        "job",
        "optimizers",
        "painting",
        "preparation",
        "print_size",
        "pyramid",
        "replicas",
        "resumption",
        "schedules",
        "starting",
        "stopping",
        "targets",
        "tile_side",
        "transfer",
        "weights",
    },
    "flagdefs": {"errors", "files", "job"},
    "sweeps": {"errors", "flagdefs", "job"},
    "captions": set(),
    "sheet": {
        "captions",
        "encoding",
        "execution",
        "extractors",
        "finishing",
        "image_io",
        "inputs",
        "job",
        "outputs",
        "pyramid",
        "sources",
        "strength",
        "style_settings",
        "sweeps",
    },
    "rerun": {
        "files",
        "image_io",
        "inputs",
        "job",
        "masks",
        "metadata",
        "outputs",
        "resumption",
        "sources",
        "style_settings",
    },
    "progress": {"pyramid"},
    "run_log": {"pyramid"},
    "summaries": {"pyramid"},
    "timelapse": {"encoding", "files", "image_io", "outputs"},
    "followers": {
        "descent",
        "device",
        "encoding",
        "finishing",
        "image_io",
        "inputs",
        "job",
        "print_size",
        "replicas",
        "run_log",
        "summaries",
        "timelapse",
        "transparency",
    },
    "notebook": {
        "captions",
        "descent",
        "device",
        "execution",
        "finishing",
        "image_io",
        "inputs",
        "painting",
        "preparation",
        "print_size",
        "progress",
    },
    "console": {"device"},
    "run_sheet": {
        "console",
        "device",
        "job",
        "outputs",
        "progress",
        "replicas",
        "sheet",
    },
    "run": {
        "console",
        "descent",
        "device",
        "encoding",
        "execution",
        "finishing",
        "flagdefs",
        "followers",
        "image_io",
        "inputs",
        "job",
        "metadata",
        "outputs",
        "preparation",
        "print_size",
        "progress",
        "replicas",
        "rerun",
        "resumption",
        "run_sheet",
        "sheet",
        "starting",
        "tile_side",
    },
    "errors": set(),
    "preparation": {
        "image_io",
        "inputs",
        "job",
        "masks",
        "outputs",
        "places",
        "print_size",
        "sources",
        "strength",
        "style_settings",
        "summaries",
        "timelapse",
    },
}


def _imports(path):
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "nst_tf":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert not node.module.startswith("nst_tf."), "import modules"
    return found


def test_imports_follow_the_arrows():
    modules = {path.stem: path for path in PACKAGE.glob("*.py")}
    assert modules.keys() == ARROWS.keys()
    for name, path in modules.items():
        assert _imports(path) == ARROWS[name], name


def test_the_map_names_every_module():
    text = (PACKAGE / "README.md").read_text()
    for name in ARROWS.keys() - {"__init__"}:
        assert f"`{name}`" in text, name


def test_public_names_are_there():
    assert nst_tf.__all__ == [
        "Job",
        "load_image",
        "run_job",
        "save_image",
        "stylize",
        "stylize_steps",
    ]
    for name in nst_tf.__all__:
        assert callable(getattr(nst_tf, name))


def test_importing_has_no_effect_and_loads_no_tensorflow(tmp_path):
    code = (
        "import sys, logging; import nst_tf, nst_tf.run, nst_tf.flagdefs;"
        "nst_tf.stylize; nst_tf.notebook.show;"
        "assert 'IPython' not in sys.modules;"
        "from absl import flags;"
        "assert 'tensorflow' not in sys.modules;"
        "assert 'size' not in flags.FLAGS;"
        "assert not logging.getLogger().handlers"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PYTHONPATH": str(PACKAGE.parent)},
        check=True,
    )
    assert not list(tmp_path.iterdir())
