"""The three networks that predict CBV: the paper's stU-Net, and those of Hess and Ulas that it is compared with.

All take strips (N, T, Y, X) of the standardized signal and return strips (N, Y, X) of the standardized CBV map.
"""

from __future__ import annotations

from typing import Any, Literal

from stunet_perfusion.networks.hess import Hess
from stunet_perfusion.networks.network import CbvNetwork
from stunet_perfusion.networks.quantities import MAPS
from stunet_perfusion.networks.stunet import StUNet
from stunet_perfusion.networks.ulas import Ulas
from stunet_perfusion.support.errors import InputError

NetworkName = Literal["stunet", "hess", "ulas"]
NETWORKS: dict[str, type[StUNet] | type[Hess] | type[Ulas]] = {"stunet": StUNet, "hess": Hess, "ulas": Ulas}


def maps_of(network: CbvNetwork) -> int:
    """How many maps follow the frames in what a network is given."""
    return getattr(network, "maps", 0)


def check_maps(network: CbvNetwork, quantity: str) -> None:
    """Refuse a network that is given other maps than it takes.

    :param quantity: what it is given, one of `networks.quantities.INPUTS`
    :raises InputError: more or fewer maps
    """
    given, taken = MAPS.get(quantity, 0), maps_of(network)
    if given != taken:
        raise InputError("network", f"takes {taken} maps and is given {given}", f"build it with maps={given}")


def build_network(name: str, arguments: dict[str, Any]) -> StUNet | Hess | Ulas:
    """A network with random weights.

    :param name: `stunet`, `hess` or `ulas`
    :param arguments: what its class takes
    :raises InputError: an unknown name, or arguments that the network does not have
    """
    if name not in NETWORKS:
        raise InputError("network", f"'{name}' is not known", f"choose one of {', '.join(NETWORKS)}")
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError, LookupError, ArithmeticError, RuntimeError) as error:
        told = ", ".join(f"{argument} = {value}" for argument, value in arguments.items()) or "no arguments"
        raise InputError("network", f"{name} cannot be built from {told} ({error})", "check its arguments") from None
