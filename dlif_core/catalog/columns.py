"""Columns of a catalog with their units and meanings: the dictionary that the file holds and the page shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pyarrow as pa

#: What a column holds; ``texts`` is a list, ``products`` a list of records, see `PRODUCT_FIELDS`.
Kind = Literal["text", "number", "count", "yes or no", "texts", "products"]

#: Fields of a record of column ``products``.
PRODUCT_FIELDS = ("name", "status", "reason", "fingerprint")

#: Version of the columns; a catalog of another version is refused, because it is rebuilt at once.
VERSION = 1


@dataclass(frozen=True)
class CatalogColumn:
    """One column.

    Attributes
    ----------
    name
        Name in the file and in filters.
    kind
        What it holds.
    meaning
        What the value says, in a phrase; a value that is not known is null.
    unit
        Unit of the value; "" for none.
    """

    name: str
    kind: Kind
    meaning: str
    unit: str = ""


_PLACE = (
    CatalogColumn("site", "text", "Where the scan was made, as `dlif catalog build` was told; else the study's name."),
    CatalogColumn("study", "text", "Name of the study."),
    CatalogColumn("store", "text", "Path or URL of the store."),
    CatalogColumn("scan", "text", "Name of the scan."),
    CatalogColumn("subject", "text", "Subject, the first part of the scan's name."),
    CatalogColumn("session", "text", "Session, the part of the scan's name that begins with ses-."),
    CatalogColumn("animal", "text", "Study and subject, as splits and trained models name an animal or a person."),
    CatalogColumn("status", "text", "What became of the scan: success, excluded, failed or damaged."),
    CatalogColumn("reason", "text", "Why it can't be used."),
    CatalogColumn("fingerprint", "text", "Fingerprint of the ingested scan."),
    CatalogColumn("data_digest", "text", "Digest of the scan's input files, the same in every store that read them."),
)
_ACQUISITION = (
    CatalogColumn("species", "text", "Species of the subject."),
    CatalogColumn("tracer", "text", "Name of the radiopharmaceutical."),
    CatalogColumn("half_life", "number", "Half-life of the radionuclide; null where nothing decays.", "s"),
    CatalogColumn("injected_activity", "number", "Injected activity.", "Bq"),
    CatalogColumn("body_weight", "number", "Body weight.", "kg"),
    CatalogColumn("administration", "text", "Known words of the way of injection, such as bolus."),
    CatalogColumn("manufacturer", "text", "Known words of the scanner's manufacturer."),
    CatalogColumn("scanner", "text", "Known words of the scanner's model."),
    CatalogColumn("reconstruction", "text", "Known words of the reconstruction."),
    CatalogColumn("frames", "count", "Number of frames."),
    CatalogColumn("first_frame", "number", "Start of the first frame from injection.", "s"),
    CatalogColumn("scan_end", "number", "End of the last frame from injection.", "s"),
    CatalogColumn("image", "yes or no", "Whether there is an image."),
    CatalogColumn("voxel_z", "number", "Edge of a voxel along z.", "mm"),
    CatalogColumn("voxel_y", "number", "Edge of a voxel along y.", "mm"),
    CatalogColumn("voxel_x", "number", "Edge of a voxel along x.", "mm"),
    CatalogColumn("regions", "texts", "Names of the regions."),
)
_BLOOD = (
    CatalogColumn("recordings", "texts", "Names of the blood recordings, arterial and venous."),
    CatalogColumn("arterial_samples", "count", "Arterial samples with an activity, of recordings that can be used."),
    CatalogColumn("blood_start", "number", "First of these samples from injection.", "s"),
    CatalogColumn("blood_end", "number", "Last of these samples from injection.", "s"),
    CatalogColumn(
        "blood_peak", "number", "Highest arterial sample of whole blood; of plasma where no whole blood is.", "Bq/mL"
    ),
    CatalogColumn("has_plasma", "yes or no", "Whether activity of arterial plasma was measured."),
    CatalogColumn("has_parent_fraction", "yes or no", "Whether parent fractions were measured in arterial blood."),
    CatalogColumn("blood_refused", "texts", "Names of the recordings that can't be used."),
)
_RESULTS = (
    CatalogColumn("repaired", "count", "Findings of level repaired, of data and results."),
    CatalogColumn("assumed", "count", "Findings of level assumed."),
    CatalogColumn("doubtful", "count", "Findings of level doubtful, accepted ones too."),
    CatalogColumn("refused", "count", "Findings of level refused."),
    CatalogColumn("withheld", "texts", "Parts of the scan that findings rule out: scan, dose, weight, blood."),
    CatalogColumn("input_functions", "texts", "Methods that gave an input function."),
    CatalogColumn("learned_model", "text", "Name of the model of the learned input function, where it gave a verdict."),
    CatalogColumn("learned_digest", "text", "Digest of that model."),
    CatalogColumn("scope", "text", "Its verdict: in scope, doubtful or out of scope."),
    CatalogColumn("scope_reasons", "texts", "Reasons of the verdict."),
    CatalogColumn("band", "yes or no", "Whether the learned input function has a band."),
    CatalogColumn("analyses", "texts", "Kinetic analyses with results of regions."),
    CatalogColumn("maps", "texts", "Kinetic analyses with parametric maps."),
    CatalogColumn(
        "products",
        "products",
        "Every product of the scan but its source: name, status, reason and fingerprint.",
    ),
)

#: All columns in their order.
COLUMNS: tuple[CatalogColumn, ...] = (*_PLACE, *_ACQUISITION, *_BLOOD, *_RESULTS)

#: The same by name.
BY_NAME = {column.name: column for column in COLUMNS}


def schema() -> pa.Schema:
    """The schema of the Parquet file; unit and meaning of a column are metadata of its field."""
    import pyarrow as pa

    product = pa.struct([pa.field(name, pa.string()) for name in PRODUCT_FIELDS])
    types = {
        "text": pa.string(),
        "number": pa.float64(),
        "count": pa.int32(),
        "yes or no": pa.bool_(),
        "texts": pa.list_(pa.string()),
        "products": pa.list_(product),
    }
    fields = [
        pa.field(column.name, types[column.kind], metadata={"meaning": column.meaning, "unit": column.unit})
        for column in COLUMNS
    ]
    return pa.schema(fields, metadata={"dlif-catalog": str(VERSION)})


def dictionary() -> str:
    """All columns as a table of Markdown, for the page."""
    rows = [f"| `{column.name}` | {column.kind} | {column.unit} | {column.meaning} |" for column in COLUMNS]
    return "\n".join(["| column | holds | unit | meaning |", "|---|---|---|---|", *rows])
