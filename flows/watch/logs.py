"""The log of dlif_core goes to the run's log in Prefect."""

from __future__ import annotations

import logging

from prefect.logging.handlers import APILogHandler

from dlif_core.masking import mask_logs

_LOGGER = "dlif_core"


def send_logs_to_prefect() -> None:
    """Have the lines of dlif_core appear in the log of the flow run or task run within which they are written.

    Secrets in the lines of all loggers, Prefect's included, are masked from then on.
    """
    mask_logs()
    logger = logging.getLogger(_LOGGER)
    if not any(isinstance(handler, APILogHandler) for handler in logger.handlers):
        logger.addHandler(APILogHandler())
    logger.setLevel(logging.INFO)
