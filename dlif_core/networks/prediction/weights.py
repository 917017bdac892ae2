"""Tissue networks as safetensors files."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from dlif_core.errors import InputError
from dlif_core.finite import to_json
from dlif_core.networks.prediction.refinement import tissue_network
from dlif_core.networks.prediction.weight_map import TissueNetwork


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
        If the file does not exist or is no such network.
    """
    try:
        with safe_open(path, "pt") as file:
            layout = {name: json.loads(text) for name, text in file.metadata().items()}
            network = tissue_network(tuple(layout["channels"]), layout.get("revisions", 0))
            network.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError("the file is not a tissue network.", where=path, hint="Train or fetch it again.") from error
    return network.eval()
