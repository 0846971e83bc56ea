"""The published datasets that are fetched when first asked for: where from, how large, under which terms.

Addresses and MD5 sums are those of torchvision's classes (a test compares them), but for CIFAR, whose binary archives
are read instead of the pickled ones. `bytes` are about right: they are for a person deciding on a download.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from core.engine.data.bundled import FASHION_LICENCE, FASHION_SOURCE

MB = 1_000_000
UNSTATED = "not stated by its authors; see the source"
Form = Literal["idx", "fashion", "qmnist", "emnist", "usps", "cifar10", "cifar100", "stl10", "svhn", "photos"]


@dataclass(frozen=True)
class Archive:
    """One file to fetch. `into` is the folder, below the dataset's own, where it is unpacked."""

    url: str
    md5: str | None
    bytes: int
    into: str = ""

    @property
    def file(self) -> str:
        return self.url.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Published:
    """One published dataset. `size` is None for photos of many sizes, which `photos.py` makes square."""

    name: str
    title: str
    title_zh: str
    classes: int
    images: int
    size: int | None
    channels: int
    licence: str
    source: str
    form: Form
    archives: tuple[Archive, ...]

    @property
    def bytes(self) -> int:
        return sum(archive.bytes for archive in self.archives)


def _four(base: str, *files: tuple[str, int]) -> tuple[Archive, ...]:
    names = ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    return tuple(Archive(f"{base}{n}-ubyte.gz", md5, size) for n, (md5, size) in zip(names, files, strict=True))


_OXFORD = "https://www.robots.ox.ac.uk/~vgg/data/"
_GTSRB = "https://sid.erda.dk/public/archives/daaeac0d7ce1152aea9b61d9f1e19370/"
_QMNIST = "https://raw.githubusercontent.com/facebookresearch/qmnist/master/qmnist-"
_USPS = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/"
_KRIZ = "https://www.cs.toronto.edu/~kriz/"
_CLIP = "https://openaipublic.azureedge.net/clip/data/"

FASHION_MNIST = Published(
    *("fashion-mnist", "Fashion-MNIST", "Fashion-MNIST", 10, 70_000, 28, 1, FASHION_LICENCE, FASHION_SOURCE, "fashion"),
    _four(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ("8d4fb7e6c68d591d4c3dfef9ec88bf0d", 26_421_880),
        ("25c81989df183df01b3e8a0aad5dffbe", 29_515),
        ("bef4ecab320f06d8554ea6380940ec79", 4_422_102),
        ("bb300cfdad3c16e7a12a480ee83cd310", 5_148),
    ),
)

_SETS = (
    FASHION_MNIST,
    Published(
        *(
            "mnist",
            "MNIST, handwritten digits",
            "MNIST：手写数字",
            10,
            70_000,
            28,
            1,
            "CC BY-SA 3.0",
            "http://yann.lecun.com/exdb/mnist/",
        ),
        "idx",
        _four(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            ("f68b3c2dcbeaaa9fbdd348bbdeb94873", 9_912_422),
            ("d53e105ee54ea40749a09fcbcd1e9432", 28_881),
            ("9fb629c4189551a2d022fa330f9573f3", 1_648_877),
            ("ec29112dd5afa0611ce80d1b7f02629c", 4_542),
        ),
    ),
    Published(
        *(
            "kmnist",
            "Kuzushiji-MNIST, cursive Japanese",
            "Kuzushiji-MNIST：日文草书",
            10,
            70_000,
            28,
            1,
            "CC BY-SA 4.0",
        ),
        *("http://codh.rois.ac.jp/kmnist/", "idx"),
        _four(
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            ("bdb82020997e1d708af4cf47b453dcf7", 18_165_135),
            ("e144d726b3acfaa3e44228e80efcd344", 29_497),
            ("5c965bf0a639b31b8f53240b1b52f4d7", 3_041_136),
            ("7320c461ea6c1c855c0b718fb2a4b134", 5_120),
        ),
    ),
    Published(
        *(
            "qmnist",
            "QMNIST, MNIST with 60,000 test digits",
            "QMNIST：含 60,000 张测试数字的 MNIST",
            10,
            120_000,
            28,
            1,
            "BSD-style; see the source",
        ),
        *("https://github.com/facebookresearch/qmnist", "qmnist"),
        (
            Archive(f"{_QMNIST}train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370", 9_704_059),
            Archive(f"{_QMNIST}train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4", 463_024),
            Archive(f"{_QMNIST}test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412", 9_742_279),
            Archive(f"{_QMNIST}test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa", 526_800),
        ),
    ),
    Published(
        *(
            "emnist-balanced",
            "EMNIST, letters and digits, balanced",
            "EMNIST：字母与数字，类别均衡",
            47,
            131_600,
            28,
            1,
            UNSTATED,
        ),
        *("https://www.nist.gov/itl/products-and-services/emnist-dataset", "emnist"),
        (
            Archive(
                "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip", "58c8d27c78d21e728a6bc7b3cc06412e", 562 * MB
            ),
        ),
    ),
    Published(
        *(
            "usps",
            "USPS, digits from envelopes",
            "USPS：信封上的数字",
            10,
            9_298,
            16,
            1,
            UNSTATED,
            f"{_USPS.removesuffix('/')}.html#usps",
        ),
        "usps",
        (
            Archive(f"{_USPS}usps.bz2", "ec16c51db3855ca6c91edd34d0e9b197", 6_600_000),
            Archive(f"{_USPS}usps.t.bz2", "8ea070ee2aca1ac39742fdd1ef5ed118", 1_800_000),
        ),
    ),
    Published(
        *("cifar10", "CIFAR-10", "CIFAR-10", 10, 60_000, 32, 3, UNSTATED, f"{_KRIZ}cifar.html", "cifar10"),
        (Archive(f"{_KRIZ}cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),),
    ),
    Published(
        *("cifar100", "CIFAR-100", "CIFAR-100", 100, 60_000, 32, 3, UNSTATED, f"{_KRIZ}cifar.html", "cifar100"),
        (Archive(f"{_KRIZ}cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8", 168_513_733),),
    ),
    Published(
        *("stl10", "STL-10", "STL-10", 10, 13_000, 96, 3, "as ImageNet: research and education"),
        *("https://cs.stanford.edu/~acoates/stl10/", "stl10"),
        (
            Archive(
                "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz",
                "91f7769df0f17e558f3565bffb0c7dfb",
                2_640_397_119,
            ),
        ),
    ),
    Published(
        *("svhn", "SVHN, house numbers", "SVHN：门牌号码", 10, 99_289, 32, 3, "non-commercial use"),
        *("http://ufldl.stanford.edu/housenumbers/", "svhn"),
        (
            Archive(
                "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
                "e26dedcc434d2e4c54c9b2d4a06d8373",
                182_040_794,
            ),
            Archive(
                "http://ufldl.stanford.edu/housenumbers/test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3", 64_275_384
            ),
        ),
    ),
    Published(
        *(
            "eurosat",
            "EuroSAT, land use from space",
            "EuroSAT：卫星影像中的土地利用",
            10,
            27_000,
            64,
            3,
            "MIT",
            "https://github.com/phelber/eurosat",
        ),
        "photos",
        (
            Archive(
                "https://huggingface.co/datasets/torchgeo/eurosat/resolve/"
                "c877bcd43f099cd0196738f714544e355477f3fd/EuroSAT.zip",
                *("c8fa014336c82ac7804f0398fcb19387", 94 * MB, "eurosat"),
            ),
        ),
    ),
    Published(
        *(
            "gtsrb",
            "GTSRB, German traffic signs",
            "GTSRB：德国交通标志",
            43,
            39_270,
            None,
            3,
            UNSTATED,
            "https://benchmark.ini.rub.de/",
        ),
        "photos",
        (
            Archive(f"{_GTSRB}GTSRB-Training_fixed.zip", "513f3c79a4c5141765e10e952eaa2478", 187_490_228, "gtsrb"),
            Archive(f"{_GTSRB}GTSRB_Final_Test_Images.zip", "c7e4e6327067d32654124b0fe9e82185", 88_978_620, "gtsrb"),
            Archive(f"{_GTSRB}GTSRB_Final_Test_GT.zip", "fe31e9c9270bbcd7b84b7f21a9d9d9e5", 99_620, "gtsrb"),
        ),
    ),
    Published(
        *(
            "flowers102",
            "Oxford flowers",
            "Oxford 花卉",
            102,
            8_189,
            None,
            3,
            UNSTATED,
            f"{_OXFORD}flowers/102/",
            "photos",
        ),
        (
            Archive(
                f"{_OXFORD}flowers/102/102flowers.tgz",
                *("52808999861908f626f3c1f4e79d11fa", 344_862_509, "flowers-102"),
            ),
            Archive(f"{_OXFORD}flowers/102/imagelabels.mat", "e0620be6f572b9609742df49c70aed4d", 502, "flowers-102"),
            Archive(f"{_OXFORD}flowers/102/setid.mat", "a5357ecc9cb78c4bef273ce3793fc85c", 14_989, "flowers-102"),
        ),
    ),
    Published(
        *(
            "oxford-pets",
            "Oxford-IIIT pets",
            "Oxford-IIIT 宠物",
            37,
            7_349,
            None,
            3,
            "CC BY-SA 4.0",
            f"{_OXFORD}pets/",
            "photos",
        ),
        (
            Archive(
                f"{_OXFORD}pets/data/images.tar.gz",
                *("5c4f3ee8e5d25df40f4fd59a7f44e54c", 791_918_971, "oxford-iiit-pet"),
            ),
            Archive(
                f"{_OXFORD}pets/data/annotations.tar.gz",
                *("95a8c909bbe2e81eed6a22bccdf3f68f", 19_173_078, "oxford-iiit-pet"),
            ),
        ),
    ),
    Published(
        *(
            "dtd",
            "Describable textures",
            "DTD：可描述的纹理",
            47,
            5_640,
            None,
            3,
            "research use",
            f"{_OXFORD}dtd/",
            "photos",
        ),
        (Archive(f"{_OXFORD}dtd/download/dtd-r1.0.1.tar.gz", "fff73e5086ae6bdbea199a49dfb8a4c1", 625_239_812, "dtd"),),
    ),
    Published(
        *("fgvc-aircraft", "FGVC aircraft variants", "FGVC：飞机型号", 100, 10_000, None, 3, "non-commercial research"),
        *(f"{_OXFORD}fgvc-aircraft/", "photos"),
        (Archive(f"{_OXFORD}fgvc-aircraft/archives/fgvc-aircraft-2013b.tar.gz", None, 2_753_340_328),),
    ),
    Published(
        *("food101", "Food-101", "Food-101", 101, 101_000, None, 3, UNSTATED),
        *("https://data.vision.ee.ethz.ch/cvl/datasets_extra/food-101/", "photos"),
        (
            Archive(
                "http://data.vision.ee.ethz.ch/cvl/food-101.tar.gz", "85eeb15f3717b99a5da872d97d918f87", 4_996_278_331
            ),
        ),
    ),
    Published(
        *(
            "imagenette",
            "Imagenette, ten easy ImageNet classes",
            "Imagenette：十个容易的 ImageNet 类别",
            10,
            13_394,
            None,
            3,
            "as ImageNet: research use",
        ),
        *("https://github.com/fastai/imagenette", "photos"),
        (
            Archive(
                "https://s3.amazonaws.com/fast-ai-imageclas/imagenette2-320.tgz",
                *("3df6f0d01a2c9592104656642f5e78a3", 341_663_724),
            ),
        ),
    ),
    Published(
        *(
            "caltech101",
            "Caltech 101",
            "Caltech 101",
            101,
            8_677,
            None,
            3,
            "CC BY 4.0",
            "https://data.caltech.edu/records/20086",
        ),
        "photos",
        (
            Archive(
                "https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",
                *("3138e1922a9193bfa496528edbbc45d0", 137_414_764, "caltech101"),
            ),
        ),
    ),
    Published(
        *(
            "country211",
            "Country211, where a photo was taken",
            "Country211：照片拍摄于哪个国家",
            211,
            63_300,
            None,
            3,
            UNSTATED,
        ),
        *("https://github.com/openai/CLIP/blob/main/data/country211.md", "photos"),
        (Archive(f"{_CLIP}country211.tgz", "84988d7644798601126c29e9877aab6a", 11_400 * MB),),
    ),
    Published(
        *(
            "rendered-sst2",
            "Rendered SST2, film reviews as pictures",
            "Rendered SST2：画成图片的影评",
            2,
            9_613,
            None,
            3,
            UNSTATED,
        ),
        *("https://github.com/openai/CLIP/blob/main/data/rendered-sst2.md", "photos"),
        (Archive(f"{_CLIP}rendered-sst2.tgz", "2384d08e9dcfa4bd55b324e610496ee5", 131 * MB),),
    ),
)
PUBLISHED = {each.name: each for each in _SETS}
