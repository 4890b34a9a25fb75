"""Files from elsewhere: what they ask for is bounded, and whatever is in them ends in a value or in one line."""

import copy
import math
import os
import sys

import pytest
import torch
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save, save_file

from senas.core.config import SEConfig
from senas.errors import ExportError
from senas.exported.network import insert_se, load, network, with_weights
from senas.exported.package import Exported, read, se_yaml
from senas.exported.plain_yaml import LARGEST_FILE, dump

IMAGES = {"shape": [1, 8, 8], "mean": [0.1], "std": [0.3], "classes": ["a", "b", "c", "d", "e"]}
BACKBONE = {"name": "resnet8", "classes": 5, "channels": 1, "width": 4}


# Values that no network has


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"backbone": {**BACKBONE, "name": "resnet1000000000000000000000000000000000002"}}, "more than 1,202 layers"),
        ({"backbone": {**BACKBONE, "name": "resnet" + "8" * 9000}}, "backbone.name must be a name"),
        ({"backbone": {**BACKBONE, "width": 10**9}}, "backbone.width must be a whole number from 1 to 4,096"),
        ({"backbone": {**BACKBONE, "classes": 10**9}}, "backbone.classes must be a whole number from 1 to 100,000"),
        ({"backbone": {**BACKBONE, "channels": 10**9}}, "backbone.channels must be a whole number from 1 to 4,096"),
        ({"backbone": {**BACKBONE, "classes": 4}}, "input.classes must be a list of 4"),
        ({"backbone": {**BACKBONE, "channels": 3}}, "input.shape has 1 channels, and the backbone takes 3"),
        ({"input": {**IMAGES, "shape": [1, 10**9, 8]}}, "height. must be a whole number from 1 to 16,384"),
        ({"input": {**IMAGES, "shape": [1, 8]}}, "input.shape must be a list of 3, got .1, 8."),
        ({"input": {**IMAGES, "shape": [1, 8, 8, 8]}}, "input.shape must be a list of 3"),
        ({"input": {**IMAGES, "shape": "1x8x8"}}, "input.shape must be a list of 3, got 1x8x8"),
        ({"input": {**IMAGES, "mean": [0.1, 0.2]}}, "input.mean must be a list of 1"),
        ({"input": {**IMAGES, "mean": [math.nan]}}, "input.mean must be a finite number, got nan"),
        ({"input": {**IMAGES, "mean": [10**400]}}, "input.mean must be a finite number, got 1000000"),
        ({"input": {**IMAGES, "std": [0.0]}}, "input.std must be above 0, got 0.0"),
        ({"input": {**IMAGES, "std": ["wide"]}}, "input.std must be a finite number, got wide"),
        ({"input": {**IMAGES, "classes": ["a", "b", "c", "d", 5]}}, "input.classes must be texts, got 5; write .5."),
        ({"input": {**IMAGES, "gamma": 2.2}}, "input: unknown key gamma; there are shape, mean, std, classes"),
        ({"se": {"layer1.0": {"hidden": 10**9}}}, "se: site layer1.0: hidden must be at most 65,536, got 1000000000"),
        ({"scores": [1, 2]}, "scores must be a mapping, got .1, 2."),
        ({"scores": {"val_loss": "low"}}, "scores.val_loss must be a finite number, got low"),
        ({"scores": {"val_loss": math.inf}}, "scores.val_loss must be a finite number, got inf"),
        ({"scores": {3: 0.5}}, "the name of a score must be a text, got 3"),
        ({"provenance": "found in the street"}, "provenance must be a mapping, got found in the street"),
        ({"weights": "evil.pt"}, 'unknown section "weights"; there are format, backbone, input, se'),
    ],
)
def test_what_no_study_could_have_trained_is_refused_by_its_key(damaged, changes, words):
    with pytest.raises(ExportError, match=rf"\A.*se\.yaml is damaged: .*{words}.*\Z"):
        read(damaged(**changes))


def without_memory(monkeypatch):
    """A network is built on the meta device only, and nothing is put into one."""
    from senas.exported import network as module

    def build(backbone, **arguments):
        with torch.device("meta"):
            return real(backbone, **arguments)

    real = module.build
    monkeypatch.setattr(module, "build", build)
    monkeypatch.setattr(module, "insert", None)


@pytest.mark.parametrize("name", ["resnet110", "resnet302"])
def test_a_network_of_billions_of_parameters_is_refused_before_it_is_built(damaged, monkeypatch, name):
    exported = read(damaged(backbone={**BACKBONE, "name": name, "width": 4096}))
    without_memory(monkeypatch)
    with pytest.raises(ExportError, match=r"\Athe network would have [\d,]+ parameters, and at most 1,000,000,000 "):
        network(exported)


def test_blocks_of_billions_of_parameters_are_refused_before_they_are_built(damaged, monkeypatch):
    blocks = {f"layer{stage}.0": {"hidden": 65_536} for stage in (1, 2, 3)}
    exported = read(damaged(backbone={**BACKBONE, "width": 2500}, se=blocks))
    without_memory(monkeypatch)
    with pytest.raises(ExportError, match=r"\Athe network would have [\d,]+ parameters"):
        network(exported)


def test_blocks_of_billions_of_parameters_do_not_go_into_a_network_of_ones_own(damaged, monkeypatch):
    from senas.model.backbones import named

    with torch.device("meta"):
        mine = named("resnet8", classes=2, channels=1, width=4096)
    without_memory(monkeypatch)
    with pytest.raises(ExportError, match=r"\Athe network would have [\d,]+ parameters"):
        insert_se(mine, damaged(se={"layer1.0": {"hidden": 65_536}, "layer2.0": {"hidden": 65_536}}), (1, 8, 8))


# YAML that is more than mappings, lists, texts and numbers


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (BOMB, "it has an anchor"),
        ("provenance2: &once {a: 1}", "it has an anchor"),
        ("scores2: {<<: *scores}", "it has an anchor"),
        ("when: !!timestamp never", "it has a tag"),
        ("format: senas-se-1", "format is there twice"),
        ("deep: " + "[" * 100_000, "it is not YAML"),
        ("day: 2001-99-99", "it is not YAML"),
        ("long: " + "9" * 5000, "it is not YAML"),
        ("? [1, 2]\n: 3", "it is not YAML"),
    ],
    ids=["bomb", "anchor", "merge", "tag", "twice", "deep", "no day", "long number", "list as key"],
)
def test_what_is_more_than_plain_is_refused_in_one_line(folder, added, words):
    (folder / "se.yaml").write_text((folder / "se.yaml").read_text() + added + "\n")
    with pytest.raises(ExportError, match=rf"\A.*se\.yaml cannot be read: {words}.*\Z"):
        read(folder)


def test_a_site_that_is_there_twice_is_refused(folder):
    text = (folder / "se.yaml").read_text()
    (folder / "se.yaml").write_text(text.replace("  layer2.0: none\n", "  layer2.0: none\n  layer2.0: {hidden: 1}\n"))
    with pytest.raises(ExportError, match=r"\A.*se\.yaml cannot be read: layer2\.0 is there twice\Z"):
        read(folder)


def test_a_file_that_never_ends_is_refused(tmp_path):
    (tmp_path / "se.yaml").symlink_to("/dev/zero")
    with pytest.raises(ExportError, match=rf"\A.*it has {LARGEST_FILE + 1:,} bytes, and no se\.yaml has more"):
        read(tmp_path)


def test_what_is_there_twice_is_written_without_an_anchor():
    same = [1, 2]
    assert yaml.safe_load(dump({"a": same, "b": same})) == {"a": [1, 2], "b": [1, 2]}
    assert "&" not in dump({"a": same, "b": same})


# Weights


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("name", ["layer1.0.se.fc1.weight", "bn1.running_var"])
def test_weights_that_are_not_finite_are_refused_by_name(folder, name, value):
    weights = load_file(folder / "weights.safetensors")
    weights[name].view(-1)[-1] = value
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(ExportError, match=rf"\A.*weights\.safetensors holds weights that are not finite.*: {name}\Z"):
        load(folder)


def test_weights_too_large_for_the_network_are_refused(folder):
    weights = load_file(folder / "weights.safetensors")
    weights["fc.weight"] = weights["fc.weight"].double() + 1e300
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(ExportError, match=r"\A.*holds weights that are not finite numbers: fc\.weight\Z"):
        load(folder)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [("fc.weight", torch.int32), ("fc.weight", torch.bool), ("bn1.num_batches_tracked", torch.float32)],
)
def test_weights_of_another_kind_are_refused_by_name(folder, name, dtype):
    weights = load_file(folder / "weights.safetensors")
    weights[name] = weights[name].to(dtype)
    save_file(weights, folder / "weights.safetensors")
    with pytest.raises(ExportError, match=rf"\A.*holds {dtype} as {name}, which is no such number\Z"):
        load(folder)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_weights_of_another_precision_are_converted(folder, validation, dtype):
    before = load(folder)(validation[0][:4])
    weights = load_file(folder / "weights.safetensors")
    save_file(
        {n: t.to(dtype) if t.is_floating_point() else t for n, t in weights.items()}, folder / "weights.safetensors"
    )
    assert torch.allclose(load(folder)(validation[0][:4]), before, atol=0.2)


@pytest.mark.parametrize("keep", [0, 4, 7, 8, 9, 100, 0.5, 0.99])
def test_truncated_weights_are_refused_in_one_line(folder, keep):
    file = folder / "weights.safetensors"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * keep) if isinstance(keep, float) else keep])
    with pytest.raises(ExportError, match=r"\A.*weights\.safetensors cannot be read: .*\Z"):
        load(folder)


# Anything at all


TRIED = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 10**9, 10**400, -(16**9000)]),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["none", "standard", "resnet9", "resnet99999999998", "~", "2001-01-01", "*a", "!x"]),
    st.lists(st.integers(), max_size=4),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=3),
)


def places(plain, path=()):
    """The path of every value in nested mappings and lists, itself first."""
    yield path
    for key in plain if isinstance(plain, dict) else range(len(plain)) if isinstance(plain, list) else ():
        yield from places(plain[key], (*path, key))


@pytest.fixture(scope="module")
def valid(exported, traced):
    text = se_yaml(exported, traced.sites)
    return text, yaml.safe_load(text)


def refusal(of):
    """What an ExportError said; nothing where there was none. Any other error is a fault of senas."""
    try:
        of()
    except ExportError as error:
        return str(error)
    return ""


def built(file):
    exported = read(file)
    assert isinstance(exported, Exported)
    assert isinstance(exported.config, SEConfig)
    network(exported)


@pytest.mark.slow
@settings(max_examples=100)
@given(data=st.data())
def test_a_changed_se_yaml_gives_a_network_or_one_line(valid, tmp_path_factory, data):
    plain = copy.deepcopy(valid[1])
    for _ in range(data.draw(st.integers(1, 3), label="changes")):
        path = data.draw(st.sampled_from([path for path in places(plain) if path]), label="where")
        *above, last = path
        holder = plain
        for key in above:
            holder = holder[key]
        what = data.draw(st.sampled_from(["replace", "remove", "rename"]), label="what")
        if what == "replace" or not isinstance(holder, dict):
            holder[last] = data.draw(TRIED, label="with")
        else:
            value = holder.pop(last)
            if what == "rename":
                holder[data.draw(st.text(max_size=8) | st.integers(), label="to")] = value
        if not isinstance(plain, dict) or len(list(places(plain))) < 2:
            break
    sys.set_int_max_str_digits(0)  # of the test, to write numbers that the reader refuses
    try:
        text = yaml.safe_dump(plain)
    finally:
        sys.set_int_max_str_digits(4300)
    file = tmp_path_factory.getbasetemp() / "changed.yaml"
    file.write_text(text)
    line = refusal(lambda: built(file))
    assert len(line.splitlines()) <= 1
    assert len(line) < 1000


@pytest.mark.slow
@settings(max_examples=150)
@given(data=st.data())
def test_spoilt_bytes_in_an_se_yaml_give_a_network_or_one_line(valid, tmp_path_factory, data):
    content = bytearray(valid[0].encode())
    for _ in range(data.draw(st.integers(1, 4), label="changes")):
        start = data.draw(st.integers(0, len(content)), label="start")
        length = data.draw(st.integers(0, 30), label="length")
        content[start : start + length] = data.draw(st.binary(max_size=6), label="bytes")
    file = tmp_path_factory.getbasetemp() / "spoilt.yaml"
    file.write_bytes(content)
    line = refusal(lambda: built(file))
    assert len(line.splitlines()) <= 1
    assert len(line) < 1000


@settings(max_examples=60)
@given(start=st.integers(0, 40_000), length=st.integers(1, 12), filling=st.binary(max_size=12))
def test_spoilt_bytes_in_weights_give_a_network_or_one_line(
    net, valid_weights, tmp_path_factory, start, length, filling
):
    spoilt = bytearray(valid_weights)
    start %= len(spoilt)
    spoilt[start : start + length] = filling
    file = tmp_path_factory.getbasetemp() / "spoilt.safetensors"
    file.write_bytes(spoilt)
    loaded = copy.deepcopy(net)
    line = refusal(lambda: with_weights(loaded, file))
    assert len(line.splitlines()) <= 1
    assert line or all(bool(tensor.isfinite().all()) for tensor in loaded.state_dict().values())


@pytest.fixture(scope="module")
def valid_weights(net):
    return save({name: tensor.contiguous() for name, tensor in net.state_dict().items()})


def test_reading_an_export_does_not_import_torch():
    import subprocess

    done = subprocess.run(
        [sys.executable, "-c", "import sys, senas.exported.package; print('torch' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    assert done.stdout == "False\n"
