"""Neural style transfer by optimization, on TensorFlow and Keras.

    import nst_tf
    image = nst_tf.stylize("town.jpg", "painting.jpg", size=512)
    image.save("town-painting.png")

Pictures are paths, addresses, Pillow images, arrays or tensors. Nothing happens
on import: TensorFlow is loaded when a picture is made.

To make pictures; help(nst_tf.stylize) has the details:

    stylize(content, style, *, callback, progress, extra_losses, **settings)
        Repaints a content image in the style of paintings; returns an array
        with save(path), to_pil() and settings.
    stylize_steps(content, style, *, extra_losses, **settings)
        Runs stylize step by step, as an iterator.
    notebook.show(content, style, *, every, **settings)
        Runs stylize, and shows the picture in a cell during the run.
    notebook.beside(pictures, *, side)
        Draws pictures in rows, with a caption below each.

To make and judge files:

    Job(**settings)
        A request for one picture, in strings and numbers only.
    run_job(job, *, callback, progress)
        Runs a job: reads its input files and writes its output file.
    run_jobs(jobs, *, engine, workers, judge, results_dir, address,
        gpus_per_job, progress)
        Makes the pictures of many jobs; yields each result as it comes.
    judge_image(image, content, styles, *, size, **settings)
        Judges a picture against its content image and its style images.
    load_image(path)
        Reads an image file as an array, [H, W, 3], float32 in [0, 1].
    save_image(path, image, *, bit_depth, quality, dpi, alpha)
        Writes an image file.
    example_images()
        Lists the pictures that ship with the package: name -> path.

To put a run together:

    make_plan(job, read, machine)
        Makes the plan of a run, before any computation.
    Painter(strategy, *, remember)
        Executes plans: Painter().paint(plan) yields the steps.
    losses, optimize, network
        The parts of a run; help(nst_tf.losses) lists the losses.

Settings are keywords of stylize, and flags of the program, --size=512;
help(nst_tf.Job) explains each:

    Pictures:
        size=512, print_size=""
    Files:
        max_megapixels=200.0
    Losses:
        strength=-1.0, content_weight=25.0, style_weight=100.0,
        neighbors_weight=0.5, grain_weight=-1.0, tv_weight=50.0, l2_weight=0.0,
        range_weight=0.0, convention="relative", style_loss="auto", scales=0,
        normalize_gradients=False, style_fit="keep", style_blend=(),
        style_scale=(1.0,), style_size=(), color="style",
        content_layers="block4_conv2", style_layers=(),
        neighbors_layers="block3_conv1,block4_conv1"
    Masks:
        content_mask="", style_mask=(), strength_map="", keep_mask=""
    Optimization:
        steps=(), max_seconds=0.0, tolerance=0.0, levels=0, min_size=128,
        growth=2.0, init="content", continue_from="", init_noise=0.0, seed=0,
        optimizer="auto", learning_rate=0.02, beta_1=0.9, beta_2=0.99,
        epsilon=1e-08, carry_moments=False, average=0.95, decay_rate=1.0,
        decay_steps=100, bounds="box", history=10
    Network:
        extractor="vgg19", weights="auto", pooling="average",
        padding="symmetric_first", precision="auto", convolution="auto"
    Memory:
        memory=0.0, tile=0, content_target="auto"
    Devices:
        device="auto", deterministic=False, devices=1
    Checkpoints:
        checkpoint_dir="", checkpoint_every="60s", resume="auto"
    Of Job alone:
        content="", style=(), output="", overwrite=False, dpi=0.0,
        preview_every=0, dry_run=False, progress="auto", quiet=False,
        verbose=False, sheet=False, sweep=(), sheet_size=256,
        sheet_scores=False, bit_depth=8, quality=95, keep_location=False,
        mark=True, record_paths=False, rerun="", log="", log_every=1,
        summary_dir="", timelapse=""
"""

from collections.abc import Callable, Mapping

__version__ = "0.1.0"


def import_lazily(
    package: str, names: Mapping[str, str], of_tensorflow: Mapping[str, str]
) -> tuple[list[str], Callable[[str], object], Callable[[], list[str]]]:
    """Makes a package import its public names when they are first used.

    Args:
        package: Its `__name__`.
        names: Public name -> "module:name" in the package, or "module".
        of_tensorflow: Likewise, where the module imports TensorFlow.

    Returns:
        Its `__all__`, `__getattr__` and `__dir__`.
    """
    places = {**names, **of_tensorflow}
    public = sorted(places)

    def get(name: str) -> object:
        if name not in places:
            raise AttributeError(
                f"module {package!r} has no attribute {name!r}"
            )
        import pkgutil

        if name in of_tensorflow:
            from nst_tf.backend import device

            device.prepare()  # without a word of TensorFlow's
        return pkgutil.resolve_name(f"{package}.{places[name]}")

    return public, get, lambda: public


# There is no `__all__`: with it help() would print every docstring, and the
# settings five times.
__getattr__, __dir__ = import_lazily(
    __name__,
    {
        "Job": "plan.settings:Job",
        "example_images": "files:example_images",
        "judge_image": "judge.judging:judge_image",
        "load_image": "images.image_io:load_image",
        "losses": "losses",
        "make_plan": "runs.api:make_plan",
        "network": "network",
        "notebook": "notebook",
        "optimize": "optimize",
        "run_job": "runs.api:run_job",
        "run_jobs": "batch.api:run_jobs",
        "save_image": "images.image_io:save_image",
        "stylize": "runs.api:stylize",
        "stylize_steps": "runs.api:stylize_steps",
    },
    {"Painter": "transfer.method:Painter"},
)[1:]
