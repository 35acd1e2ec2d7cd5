"""What the files of results say of how they were made, for machines to read.

Every file has an XMP packet with the IPTC property `DigitalSourceType`, in which the IPTC's
vocabulary (https://cv.iptc.org/newscodes/digitalsourcetype/) says whether a model painted it, and
with the software. Where metadata is public it names the model too, in the property `AISystemUsed`
of the IPTC Photo Metadata Standard 2025.1.
"""

from __future__ import annotations

from typing import Literal
from xml.sax.saxutils import escape

from deployments.recipes import Recipe
from deployments.studio.encoding import Metadata

SourceType = Literal[
    "trainedAlgorithmicMedia",
    "compositeWithTrainedAlgorithmicMedia",
    "algorithmicallyEnhanced",
    "composite",
]
"""Terms of the IPTC's vocabulary."""

VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SOFTWARE = "Backdrop"

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">
{properties}
</rdf:Description>
</rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def source_type(recipe: Recipe) -> SourceType:
    """Tell how a result came to be.

    A model painted all of it, or all but the product. Else nothing new was painted. A product cut
    out of the photo, or before its own blurred background, is a photo that was changed by rules,
    which have no part in what it shows. Before a colour or another picture it is a composite, of
    whose elements the term leaves open where they come from: nobody knows that of a background
    that was sent. The blurred background of a result is taken for one that a model painted, and a
    product that may have been found in a result for an element that may be.

    Args:
        recipe: The result's, with its fidelity.
    """
    if recipe.look.painted:
        return (
            "trainedAlgorithmicMedia"
            if recipe.fidelity is None
            else "compositeWithTrainedAlgorithmicMedia"
        )
    background = recipe.look.background
    if background == "blur":
        if recipe.source == "result":
            return "compositeWithTrainedAlgorithmicMedia"
        return "algorithmicallyEnhanced"
    of_the_upload = recipe.source == "upload" or recipe.mask_key == recipe.photo_key
    if background == "transparent" and of_the_upload:
        return "algorithmicallyEnhanced"
    return "composite"


def metadata_of(recipe: Recipe, *, public: bool) -> Metadata:
    """Say what a result's file tells of itself.

    Args:
        recipe: The result's, with its fidelity.
        public: Whether the file names the model and, if it is a PNG, holds the public part of the
            recipe; else it has the marking alone.
    """
    properties = [
        ("Iptc4xmpExt:DigitalSourceType", VOCABULARY + source_type(recipe)),
        ("xmp:CreatorTool", f"{SOFTWARE} {recipe.version}"),
    ]
    if public and recipe.look.painted and recipe.model is not None:
        properties.append(("Iptc4xmpExt:AISystemUsed", recipe.model))
    lines = [f"<{name}>{escape(value)}</{name}>" for name, value in properties]
    packet = _PACKET.format(properties="\n".join(lines))
    return Metadata(packet.encode(), recipe.public() if public else {})
