"""Words that are kept of text fields: manufacturers and models of scanners, ways of reconstruction.

Of a field that anybody may write anything into, only words known here are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Words that are kept, by the field that they may stand in.
_KEPT: Mapping[str, str] = {
    "Manufacturer": "Siemens|GE|General Electric|Philips|United Imaging|UIH|Canon|Toshiba|Shimadzu|Hamamatsu|Hitachi|"
    "CTI|CPS|Concorde|Mediso|Bruker|Molecubes|MILabs|MR Solutions|Sedecal|Sofie|Trifoil|Raytest|Cubresa|dlif",
    "ManufacturersModelName": "Biograph|mCT|mMR|TruePoint|Vision|Quadra|Horizon|HRRT|ECAT|EXACT|HR\\+?|Advance|"
    "Discovery|Signa|Omni|Gemini|Ingenuity|Vereos|uEXPLORER|uMI|uPMR|Celesteion|Cartesion|Inveon|Focus|microPET|"
    "nanoScan|nanoPET|Albira|Si78|LabPET|SuperArgus|VECTor|X-CUBE|β-CUBE|GENISYS|ClearPET|phantom",
    "ModeOfAdministration": "bolus[- ]infusion|bolus|infusion",
    "AcquisitionMode": "list ?mode|sinogram|dynamic|static|gated|whole[- ]body|step and shoot|continuous|[23]D",
    "ReconMethodName": "FBP|filtered back ?projection|OP-OSEM|OSEM|OS-EM|MLEM|ML-EM|MAP|RAMLA|BLOB-OS-TF|BSREM|"
    "Q\\.Clear|VPFX|VUE Point|3DRP|FORE|SSRB|AW|OP|TOF|TF|PSF|TrueX|HD|UltraHD|SharpIR|[23]D|iterative|simulated|"
    "[0-9]{1,3} ?(?:i|s|iterations?|subsets?)",
}
_WORDS = {name: re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) for name, words in _KEPT.items()}

#: Fields of which words are kept for the record.
KEPT_FIELDS = tuple(_KEPT)


def kept_words(fields: Mapping[str, Any]) -> dict[str, str]:
    """Known words of the fields that are kept for the record, without the fields that hold none."""
    found = {name: " ".join(words.findall(str(fields.get(name, ""))[:1000])) for name, words in _WORDS.items()}
    return {name: words for name, words in found.items() if words}
