"""A training's settings: the paper's by default, any of them changed by a file, by an option, or not at all."""

from pathlib import Path

import pytest

from stunet_perfusion.cli import main
from stunet_perfusion.networks.quantities import TARGET_OF
from stunet_perfusion.support.errors import InputError
from stunet_perfusion.training.run import network_of
from stunet_perfusion.training.settings import TrainingSettings, parse_changes, read_settings

RECIPES = sorted((Path(__file__).parents[2] / "Resources" / "Training").glob("*.toml"))

HEADS = {"phantoms.anatomies": ["mni"]}


def write(folder, text):
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_papers_choices_are_the_default():
    settings = TrainingSettings()
    assert (settings.optimization.epochs, settings.optimization.loss) == (200, "l2")
    assert (settings.optimization.learning_rate, settings.optimization.schedule) == (1e-3, "constant"), "Adam's"
    assert (settings.strips.step, settings.cases.split) == (8, (25, 12, 12))
    assert (settings.network.name, settings.network.input) == ("stunet", "signal")
    assert TARGET_OF[settings.network.input] == "z-score"
    assert (settings.network.frames, settings.network.size) == (64, 256)
    assert read_settings(None, HEADS).dose_method == "physical"
    assert read_settings(None, {"cases.table": "cases.csv"}).dose_method == "equation1"


def test_a_file_changes_what_it_names_and_options_override_it(tmp_path):
    path = write(
        tmp_path,
        """
        [network]
        arguments = {widths = [8, 16, 32, 64]}
        input = "curves-and-fit"
        [phantoms]
        anatomies = ["heads", "mni"]
        [dose]
        shares = [1, 0.5]
        [optimization]
        epochs = 9
        learning_rate = 1
        """,
    )
    settings = read_settings(path, parse_changes(["optimization.epochs=3", "strips.padding=context"]))
    assert settings.network.arguments == {"widths": [8, 16, 32, 64]}
    assert settings.network.input == "curves-and-fit"
    assert settings.phantoms.anatomies == (str(tmp_path / "heads"), "mni"), "relative to the file"
    assert settings.dose.shares == (1.0, 0.5)
    assert settings.optimization.epochs == 3
    assert settings.optimization.learning_rate == 1.0
    assert settings.strips.padding == "context"
    assert settings.optimization.batch == 8
    assert settings.document()["dose"]["shares"] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[optimisation]", "'optimisation' is no setting; choose among network, strips, cases"),
        ("[network]\nepochs = 3", "'epochs' is no setting; choose among name, arguments"),
        ("optimization = 3", r"'optimization' is a table of settings; write \[optimization\]"),
        ("[optimization]\nepochs = 'many'", "'epochs' is 'many'; give a whole number"),
        ("[optimization]\nepochs = true", "'epochs' is True; give a whole number"),
        ("[optimization]\nepochs = 0", "0 is too few; give at least 1"),
        ("[optimization]\nlearning_rate = 0", "0 is not above 0"),
        ("[optimization]\nloss = 'l3'", "'l3' is not known; use l2, robust"),
        ("[network]\ninput = 'R1'", "'R1' is not known; use signal, curves-and-fit"),
        ("[dose]\nshares = [2]", r"dose: 2 is not in \(0, 1\]"),
        ("[dose]\nlowest = 0.5\nhighest = 0.4", "is above dose.highest"),
        ("[strips]\npadding = 'mirror'", "'mirror' is not known"),
        ("[strips]\ntrain = 'slices'", "slices: are no sum of strips that are padded with zeros; set strips.padding"),
        ("[strips]\ntrain = 'rows'", "'rows' is not known; use strips, slices"),
        ("[network]\nbox = 'round'", "'round' is not known; use tight, pixels"),
        ("[phantoms]\ntarget = 'CBF'", "'CBF' is not known; use reference, truth"),
        ("[phantoms]\nepochs = 0", "0 is too few"),
        ("[optimization]\nsettled = 2", "optimization.settled: 2 is no share"),
        ("[optimization]\nmaps_first = -1", "optimization.maps_first: -1 is no share"),
        ("[optimization]\nmaps_first = 0.5", "optimization.maps_first: needs a network with 'refine'"),
        ("[cases]\nsplit = [0, 1, 1]", r"\[0, 1, 1\] is no split"),
        ("[cases]\ntable = 'cases.csv'", "need either cases or phantoms"),
        ("[network]\nwindow = 'last'", "'last' is not known; use around-bolus, from-first"),
        ("[strips]\nshare = 0", "strips.share: 0 is no share"),
        ("[phantoms]\nfixed = 1", "'fixed' is 1; give true or false"),
        ("[phantoms]\nfixed = true", "phantoms.fixed: keeps every person as scanned at full dose"),
        ("[phantoms]\nfixed = true\nepochs = 2\n[dose]\nmethod = 'equation1'", "set phantoms.epochs to 1"),
        ("[phantoms]\nslices = 3", "phantoms.slices: is for persons that stay the same"),
        ("[network", "is no TOML"),
    ],
)
def test_what_makes_no_sense_is_named(tmp_path, text, sentence):
    with pytest.raises(InputError, match=sentence):
        read_settings(write(tmp_path, text), HEADS)


def test_scanned_cases_cannot_be_scanned_again(tmp_path):
    with pytest.raises(InputError, match="a scanned case has one physical dose"):
        read_settings(None, {"cases.table": "cases.csv", "dose.method": "physical"})
    with pytest.raises(InputError, match="need either cases or phantoms"):
        read_settings(None)
    with pytest.raises(InputError, match="cannot be read"):
        read_settings(tmp_path / "nowhere.toml")


def test_changes_are_written_as_toml_or_as_a_word():
    changes = parse_changes(["a.b=3", "a.c=[1, 2]", "a.d=word", "a.e={x=1}"])
    assert changes == {"a.b": 3, "a.c": [1, 2], "a.d": "word", "a.e": {"x": 1}}
    with pytest.raises(InputError, match=r"'epochs=3' is no setting; write for example optimization.epochs=3"):
        parse_changes(["epochs=3"])


def test_the_settings_that_are_shown_are_a_file_that_gives_them(tmp_path, capsys):
    words = ["train", "--anatomy", "mni", "--widths", "8,16", "--set", "dose.shares=[1, 0.5]", "--show-settings"]
    assert main(words) == 0
    text = capsys.readouterr().out
    expected = read_settings(None, {**HEADS, "network.arguments": {"widths": [8, 16]}, "dose.shares": [1, 0.5]})
    assert read_settings(write(tmp_path, text)) == expected
    assert main(["train", "--anatomy", "mni"]) == 2
    assert "--output: is missing" in capsys.readouterr().err


def test_there_is_a_recipe_for_every_network():
    assert {"stunet", "paper-stunet", "hess", "ulas"} == {path.stem for path in RECIPES}


@pytest.mark.parametrize("path", RECIPES, ids=[path.stem for path in RECIPES])
def test_the_recipes_that_ship_can_be_followed(path):
    settings = read_settings(path, HEADS)
    network, info = network_of(settings)
    assert info.network == settings.network.name
    assert sum(weights.numel() for weights in network.parameters()) < 2.5e6
    assert str(path.stem) in path.read_text(encoding="utf-8"), "each says how it is called"
