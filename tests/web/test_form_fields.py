"""The form: all that the table has, and nothing that is a path or address."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest

from nst_tf import files
from nst_tf.cli import flags
from nst_tf.plan import settings
from nst_tf.web import form_fields

TWO = {"content": [Path("/p/1")], "style": [Path("/p/2")]}


def values(pictures=TWO, decided=None, **chosen):
    return form_fields.list_values(chosen, pictures, decided or {})


def test_every_setting_of_a_picture_is_a_field_but_paths():
    told = {field["name"]: field for field in form_fields.list_fields()}
    json.dumps(told)
    for name, field in settings.FIELDS.items():
        is_path = "path" in field.metadata
        if field.metadata["role"] is settings.Role.PIXELS and not is_path:
            assert told[name]["help"] == field.metadata["help"]
            assert told[name]["default"] == field.default
    for name in ("output", "rerun", "log", "checkpoint_dir", "content"):
        assert name not in told
    assert told["weights"]["choices"] == ["auto", "imagenet", "small"]
    assert told["strength"]["off"] == -1.0
    assert told["color"]["choices"][0] == "style"


def test_a_job_is_made_of_settings_and_files_of_ours():
    made = settings.Job(
        **json.loads(
            json.dumps(
                values(size=300, style_scale=[2.0], color=["match", "style"])
            )
        )
    )
    assert (made.size, made.style_scale) == (300, (2.0,))
    assert made.color == "match,style"
    assert (made.content, made.style) == ("/p/1", ("/p/2",))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"content": "/etc/passwd"}, "has no setting 'content'"),
        ({"style": ["http://169.254.169.254/"]}, "no setting 'style'"),
        ({"output": "/root/.bashrc"}, "no setting 'output'"),
        ({"rerun": "/x.png"}, "no setting 'rerun'"),
        ({"checkpoint_dir": "/"}, "no setting"),
        ({"keep_mask": "/x.png"}, "no setting"),
        ({"weights": "/tmp/evil.h5"}, "not a known value"),
        ({"weights": "https://evil.example/w.h5"}, "not a known value"),
        ({"init": "/etc/passwd"}, "not a known value"),
        ({"init": ["style"]}, "not a known value"),
        ({"overwrite": True}, "no setting"),
        ({"sizee": 3}, "did you mean 'size'"),
        ({"size": "300"}, "size is '300' of type str"),
        ({"size": 0}, "size is 0, expected at least 1"),
        ({"size": 10**400}, "too large a number"),
        ({"size": None}, "not a plain value"),
        ({"size": {"a": 1}}, "not a plain value"),
        ({"strength": float("nan")}, "expected a number"),
        ({"strength": 0.5, "style_weight": 3.0}, "both given"),
        ({"content_layers": "x" * 3000}, "too long"),
        ({"style_blend": [1] * 200}, "too long"),
        ({"style_layers": ["nonsense"]}, "nonsense"),
    ],
)
def test_what_a_form_may_not_send_is_refused_in_a_sentence(chosen, words):
    with pytest.raises(ValueError, match=words):
        values(**chosen)


def test_pictures_are_as_many_as_a_setting_takes():
    with pytest.raises(ValueError, match="photograph and a painting first"):
        values({"content": [Path("/p/1")]})
    with pytest.raises(ValueError, match="content has 2 pictures"):
        values({**TWO, "content": [Path("/p/1"), Path("/p/2")]})


def test_the_command_line_asks_for_the_same_picture():
    chosen = {"size": 300, "color": "content", "style_scale": [0.5]}
    names = {"content": ["my town's.jpg"], "style": ["a.jpg", "b c.jpg"]}
    line = form_fields.write_command(chosen, {**names, "keep_mask": ["k.png"]})
    program, *arguments = shlex.split(line)
    assert program == "nst-tf"
    assert flags.parse(arguments) == settings.Job(
        content="my town's.jpg",
        style=("a.jpg", "b c.jpg"),
        keep_mask="k.png",
        **chosen,
    )


def test_presets_are_settings_of_the_form_and_samples():
    presets = {p["name"]: p for p in form_fields.list_presets()}
    assert {"starry", "glass", "kept", "places", "broad"} <= set(presets)
    assert "gatys2016_paper" not in presets  # hours, of a source
    samples = files.example_images()
    for preset in presets.values():
        named = {
            setting: [samples[name] for name in names]
            for setting, names in preset["pictures"].items()
        }
        made = form_fields.list_values(preset["settings"], named, {})
        job = flags.parse([f"--flagfile={preset['name']}"])
        assert settings.Job(**made) == dataclasses.replace(job)
        assert preset["text"].endswith(".")
        assert form_fields.find_gallery_picture(preset["name"])
