"""Oxford-IIIT pets, downloaded on first use."""

from __future__ import annotations

from core.engine.data.published.load import Archive, Photos
from core.engine.data.published.photo_sets import Layout, pets
from core.options import Words


class OxfordPets(Photos):
    """7,349 photos of 37 breeds (Parkhi et al. 2012)."""

    title = Words("Oxford-IIIT pets", "Oxford-IIIT 宠物")
    classes = 37
    images = 7349
    size = None
    channels = 3
    licence = "CC BY-SA 4.0"
    source = "https://www.robots.ox.ac.uk/~vgg/data/pets/"
    archives = (
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz",
            "5c4f3ee8e5d25df40f4fd59a7f44e54c",
            791_918_971,
            "oxford-iiit-pet",
        ),
        Archive(
            "https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz",
            "95a8c909bbe2e81eed6a22bccdf3f68f",
            19_173_078,
            "oxford-iiit-pet",
        ),
    )
    layout = Layout("OxfordIIITPet", {"train": {"split": "trainval"}, "test": {"split": "test"}}, pets)
