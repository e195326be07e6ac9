"""A digital head with known perfusion, scanned in software: DSC series at any dose, with their truth."""

from stunet_perfusion.phantom.acquisition import Protocol, random_protocol
from stunet_perfusion.phantom.anatomy import Anatomy, anatomy_from_labels, mni_anatomy
from stunet_perfusion.phantom.drawn import drawn_anatomy
from stunet_perfusion.phantom.lesion import tumor_from_file
from stunet_perfusion.phantom.named_heads import anatomy_by_name, drawn_heads, image_files
from stunet_perfusion.phantom.phantom import DOSES, Phantom, make_phantom
from stunet_perfusion.phantom.physiology import Physiology, random_physiology

__all__ = [
    "DOSES",
    "Anatomy",
    "Phantom",
    "Physiology",
    "Protocol",
    "anatomy_by_name",
    "anatomy_from_labels",
    "drawn_anatomy",
    "drawn_heads",
    "image_files",
    "make_phantom",
    "mni_anatomy",
    "random_physiology",
    "random_protocol",
    "tumor_from_file",
]
