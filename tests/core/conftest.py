"""A known network's sites, random blocks and configurations for hypothesis, and how a refusal should read."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from hypothesis import settings
from hypothesis import strategies as st

from senas.core.block import Activation, Gate, Placement, SEBlock, Squeeze
from senas.core.config import SEConfig
from senas.core.site import Place, Site

# The same examples on every machine; no deadline, because a busy machine is not a bug.
settings.register_profile("senas", deadline=None, derandomize=True)
settings.load_profile("senas")

module_paths = st.lists(
    st.sampled_from(["layer1", "layer2", "layer10", "features", "conv", "0", "1", "2", "9", "10"]),
    min_size=1,
    max_size=3,
).map(".".join)
blocks = st.builds(
    SEBlock,
    hidden=st.integers(1, 4096),
    placement=st.sampled_from(Placement),
    squeeze=st.sampled_from(Squeeze),
    gate=st.sampled_from(Gate),
    activation=st.sampled_from(Activation),
    bias=st.booleans(),
)
st.register_type_strategy(SEBlock, blocks)
st.register_type_strategy(SEConfig, st.builds(SEConfig, st.dictionaries(module_paths, st.none() | blocks, max_size=6)))

Refused = Callable[..., AbstractContextManager[None]]


@pytest.fixture(scope="session")
def refused() -> Refused:
    """`with refused(SpaceError, "space.per", "block"): ...` wants that error, in one line that has these words."""

    @contextmanager
    def expect(kind: type[Exception], *words: str) -> Iterator[None]:
        with pytest.raises(kind) as caught:
            yield
        line = str(caught.value)
        assert "\n" not in line
        assert [word for word in words if word not in line] == [], line

    return expect


@pytest.fixture(scope="session")
def resnet50() -> tuple[Site, ...]:
    """The 16 units of ResNet-50 at 224 x 224, with the places that the SE paper's figure 5 tries."""
    sites, channels, before = [], 64, Place(64, 56, 56)
    for stage, (blocks, side) in enumerate(zip((3, 4, 6, 3), (56, 28, 14, 7), strict=True), 1):
        channels = 128 * 2**stage
        for number in range(blocks):
            after = Place(channels, side, side)
            places = {
                Placement.PRE: before,
                Placement.STANDARD: after,
                Placement.IDENTITY: after,
                Placement.POST: after,
            }
            sites.append(Site(f"layer{stage}.{number}", places, after))
            before = after
    return tuple(sites)
