"""Tissue networks as safetensors files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dlif_core.errors import InputError
from dlif_core.finite import to_json
from dlif_core.networks.prediction.refinement import tissue_network
from dlif_core.networks.prediction.weight_map import TissueNetwork

#: Far more than any network has; a forged file would have the machine's memory allocated.
_MOST_CHANNELS, _MOST_REVISIONS = 1024, 16


def save_network(path: Path, network: TissueNetwork) -> None:
    """Write a network's weights and layout as safetensors."""
    layout = {"channels": to_json(network.channels, where=path), "revisions": to_json(network.revisions, where=path)}
    # a file that safetensors itself opens for writing can be read by its owner alone
    path.write_bytes(save(network.state_dict(), layout))


def load_network(path: Path) -> TissueNetwork:
    """Read a network, ready to predict.

    Raises
    ------
    InputError
        If the file does not exist or is no such network, or weights are not finite.
    """
    try:
        with safe_open(path, "pt") as file:
            layout = {name: json.loads(text) for name, text in (file.metadata() or {}).items()}
            network = tissue_network(_channels(layout["channels"]), _whole(layout.get("revisions", 0), _MOST_REVISIONS))
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError("the file is not a tissue network.", where=path, hint="Train or fetch it again.") from error
    require_finite(network, path)
    return network.eval()


def require_finite(network: torch.nn.Module, path: Path) -> None:
    """Refuse a network with weights that are no numbers: every curve that it predicts would be none either.

    Raises
    ------
    InputError
        If there are any.
    """
    for name, value in network.state_dict().items():
        if not bool(torch.isfinite(value).all()):
            raise InputError(f"weights {name} are not finite.", where=path, hint="Train or fetch it again.")


def _channels(found: list[int]) -> tuple[int, int, int]:
    first, second, third = (_whole(number, _MOST_CHANNELS) for number in found)
    return first, second, third


def _whole(number: object, most: int) -> int:
    if not isinstance(number, int) or not 0 <= number <= most:
        raise ValueError("a layout is told in small whole numbers")
    return number
