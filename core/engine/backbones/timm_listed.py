"""The networks of timm that the catalog lists, small and current ones first: what timm says of them, and counts.

Accuracies: top-1 on ImageNet in timm's results/results-imagenet.csv
(https://github.com/huggingface/pytorch-image-models/tree/main/results), at `at` pixels a side.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Facts:
    """Of timm's pretrained_cfg: `size` (pixels a side), `crop`, `pixels` or `mean` and `std`, `classes` (0: the weights
    have no head), `licence`. Counted: `params`, `macs`, `bytes` of the weights. `smallest` and `multiple` are sides."""

    size: int
    params: int
    macs: int
    bytes: int
    accuracy: float | None = None
    at: int = 0
    crop: float = 0.875
    pixels: str = "imagenet"
    smallest: int = 32
    multiple: int = 1
    norms: bool = True
    classes: int = 1000
    licence: str = "apache-2.0"
    linear_head: bool = True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


# fmt: off
LISTED = {
    "mobilenetv4_conv_small_050.e3000_r224_in1k": Facts(224, 2_238_952, 64_741_408, 9_011_600, pixels="half"),
    "mobilenetv4_conv_small.e2400_r224_in1k": Facts(224, 3_774_024, 186_005_568, 15_196_816),
    "mobilenetv4_conv_medium.e500_r224_in1k": Facts(224, 9_715_512, 827_649_984, 39_134_280, crop=0.95),
    "mobilenetv4_hybrid_medium.e500_r224_in1k": Facts(224, 11_074_648, 966_311_360, 44_602_720, crop=0.95),
    "mobilenetv3_small_050.lamb_in1k": Facts(224, 1_593_224, 24_188_688, 6_399_152, accuracy=57.91),
    "mobilenetv3_small_075.lamb_in1k": Facts(224, 2_041_872, 43_399_344, 8_206_480, accuracy=65.234),
    "mobilenetv3_small_100.lamb_in1k": Facts(224, 2_542_856, 56_510_400, 10_220_144, accuracy=67.656),
    "mobilenetv3_large_100.ra_in1k": Facts(224, 5_483_032, 216_589_760, 22_030_096, accuracy=75.766),
    "lcnet_050.ra2_in1k": Facts(224, 1_880_856, 44_731_008, 7_545_528, accuracy=63.12),
    "lcnet_100.ra2_in1k": Facts(224, 2_953_800, 155_700_480, 11_859_192, accuracy=72.096),
    "tinynet_e.in1k": Facts(106, 2_042_972, 24_356_848, 8_229_096, accuracy=59.866),
    "tinynet_a.in1k": Facts(192, 6_187_972, 336_867_712, 24_960_352, accuracy=77.658),
    "ghostnet_100.in1k": Facts(224, 5_182_508, 141_150_512, 20_818_544, accuracy=73.982),
    "ghostnetv3_100.in1k": Facts(224, 8_129_028, 404_128_320, 32_991_936, smallest=33),
    "mobileone_s0.apple_in1k": Facts(224, 5_293_272, 1_051_935_232, 21_527_664, licence="mobileone-license"),
    "mobileone_s1.apple_in1k": Facts(224, 4_825_192, 830_062_080, 19_574_968, crop=0.9, licence="mobileone-license"),
    "repvit_m0_9.dist_300e_in1k": Facts(224, 5_103_560, 816_896_832, 22_152_288, crop=0.95),
    "repvit_m1_0.dist_300e_in1k": Facts(224, 6_852_900, 1_107_629_600, 29_438_512, crop=0.95),
    "repvit_m1_1.dist_300e_in1k": Facts(224, 8_288_888, 1_338_730_240, 35_450_784, crop=0.95),
    "starnet_s1.in1k": Facts(224, 2_869_168, 421_877_376, 11_505_440),
    "starnet_s2.in1k": Facts(224, 3_682_024, 544_113_664, 14_757_504),
    "starnet_s4.in1k": Facts(224, 7_482_728, 1_049_561_600, 29_987_136),
    "shvit_s1.in1k": Facts(224, 6_330_808, 241_320_768, 25_498_448, licence="mit"),
    "shvit_s2.in1k": Facts(224, 11_483_072, 365_394_896, 46_165_808, licence="mit"),
    "efficientvit_m0.r224_in1k": Facts(224, 2_349_436, 79_193_600, 9_513_272, licence="mit"),
    "efficientvit_m2.r224_in1k": Facts(224, 4_187_554, 201_035_712, 16_902_928, licence="mit"),
    "efficientvit_b0.r224_in1k": Facts(224, 3_410_008, 100_233_216, 13_661_680, crop=0.95),
    "efficientvit_b1.r224_in1k": Facts(224, 9_102_024, 519_214_592, 36_462_008, crop=0.95),
    "efficientformerv2_s0.snap_dist_in1k": Facts(224, 3_423_256, 395_716_544, 14_598_872, accuracy=76.118,
        crop=0.95, multiple=32),
    "efficientformerv2_s1.snap_dist_in1k": Facts(224, 5_960_560, 651_745_640, 25_026_656, accuracy=79.688,
        crop=0.95, multiple=32),
    "fastvit_t8.apple_in1k": Facts(256, 4_026_232, 690_149_376, 16_214_544, crop=0.9, licence="fastvit-license"),
    "fastvit_t12.apple_in1k": Facts(256, 7_553_704, 1_397_727_232, 30_381_344, crop=0.9, licence="fastvit-license"),
    "fastvit_sa12.apple_in1k": Facts(256, 11_580_968, 1_943_937_024, 46_465_776, crop=0.9, licence="fastvit-license"),
    "fasternet_t0.in1k": Facts(224, 3_905_500, 335_422_720, 15_660_856, crop=1.0),
    "fasternet_t1.in1k": Facts(224, 7_595_368, 850_511_872, 30_443_560, crop=1.0),
    "mobilevit_xxs.cvnets_in1k": Facts(256, 1_272_024, 407_364_096, 5_104_800, accuracy=68.932, crop=0.9,
        pixels="plain", licence="cvnets-license"),
    "mobilevit_xs.cvnets_in1k": Facts(256, 2_317_848, 1_025_911_808, 9_305_440, accuracy=74.636, crop=0.9,
        pixels="plain", licence="cvnets-license"),
    "mobilevitv2_050.cvnets_in1k": Facts(256, 1_370_593, 464_594_944, 5_513_676, accuracy=70.138, crop=0.888,
        pixels="plain", licence="cvnets-license"),
    "edgenext_xx_small.in1k": Facts(256, 1_327_216, 257_905_088, 5_308_864, accuracy=71.878, at=288, crop=0.9,
        norms=False, licence="mit"),
    "edgenext_x_small.in1k": Facts(256, 2_336_804, 533_192_192, 9_347_216, accuracy=75.688, at=288, crop=0.9,
        norms=False, licence="mit"),
    "edgenext_small.usi_in1k": Facts(256, 5_586_832, 1_253_234_816, 22_347_328, accuracy=81.564, at=320, crop=0.95,
        norms=False, licence="mit"),
    "tiny_vit_5m_224.dist_in22k_ft_in1k": Facts(224, 5_392_764, 1_255_174_720, 21_610_696, crop=0.95),
    "tiny_vit_11m_224.dist_in22k_ft_in1k": Facts(224, 10_996_972, 2_016_046_144, 44_039_560, crop=0.95),
    "levit_128s.fb_dist_in1k": Facts(224, 7_391_290, 304_276_832, 31_267_240, accuracy=76.526, crop=0.9, multiple=16),
    "levit_192.fb_dist_in1k": Facts(224, 10_561_301, 656_638_080, 44_010_292, accuracy=79.838, crop=0.9, multiple=16),
    "mambaout_femto.in1k": Facts(224, 7_304_536, 1_147_984_992, 29_218_144, crop=1.0, norms=False),
    "hgnetv2_b0.ssld_stage2_ft_in1k": Facts(224, 5_996_550, 321_326_464, 24_035_624, crop=0.965),
    "hgnetv2_b2.ssld_stage2_ft_in1k": Facts(224, 11_221_356, 1_137_703_680, 44_992_688, crop=0.965),
    "lowformer_b0.in1k": Facts(224, 14_100_472, 944_042_240, 56_460_856, crop=0.95),
    "convnext_atto.d2_in1k": Facts(224, 3_695_520, 547_332_480, 14_782_080, accuracy=77.008, at=288, norms=False),
    "convnextv2_atto.fcmae_ft_in1k": Facts(224, 3_708_400, 547_332_480, 14_833_600, accuracy=77.76, at=288,
        norms=False, licence="cc-by-nc-4.0"),
    "convnextv2_femto.fcmae_ft_in1k": Facts(224, 5_233_240, 779_629_824, 20_932_960, accuracy=79.338, at=288,
        norms=False, licence="cc-by-nc-4.0"),
    "convnextv2_pico.fcmae_ft_in1k": Facts(224, 9_066_280, 1_367_055_360, 36_265_120, accuracy=81.086, at=288,
        norms=False, licence="cc-by-nc-4.0"),
    "convnextv2_nano.fcmae_ft_in1k": Facts(224, 15_623_800, 2_445_528_320, 62_495_200, accuracy=82.486, at=288,
        norms=False, licence="cc-by-nc-4.0"),
    "convnextv2_tiny.fcmae_ft_in1k": Facts(224, 28_635_496, 4_455_531_264, 114_541_984, accuracy=83.464, at=288,
        norms=False, licence="cc-by-nc-4.0"),
    "resnet10t.c3_in1k": Facts(176, 5_435_488, 698_688_000, 21_765_552, accuracy=68.358, at=224),
    "resnet14t.c3_in1k": Facts(176, 10_081_632, 1_067_618_816, 40_404_440, accuracy=72.254, at=224),
    "resnet18d.ra2_in1k": Facts(224, 11_708_744, 2_053_713_920, 46_874_064, accuracy=73.794, at=288),
    "resnet26d.bt_in1k": Facts(224, 16_014_408, 2_581_897_216, 64_181_784, accuracy=77.408, at=288),
    "resnet34d.ra2_in1k": Facts(224, 21_816_904, 3_903_401_984, 87_336_528, accuracy=78.436, at=288),
    "resnet50d.ra2_in1k": Facts(224, 25_576_264, 4_328_824_832, 102_518_488, accuracy=81.356, at=288),
    "regnetz_b16.ra3_in1k": Facts(224, 9_715_480, 1_430_203_392, 39_061_632, accuracy=80.728, at=288, crop=0.94,
        pixels="half"),
    "efficientnet_b0.ra_in1k": Facts(224, 5_288_548, 385_814_752, 21_322_648, accuracy=77.694),
    "rexnet_100.nav_in1k": Facts(224, 4_796_873, 398_370_392, 19_353_500, accuracy=77.862, licence="mit"),
    "deit_tiny_patch16_224.fb_in1k": Facts(224, 5_717_416, 1_253_683_200, 22_869_664, accuracy=72.172, crop=0.9,
        smallest=16, multiple=16, norms=False),
    "deit3_small_patch16_224.fb_in1k": Facts(224, 22_059_496, 4_598_882_304, 88_237_984, accuracy=81.37, crop=0.9,
        smallest=16, multiple=16, norms=False),
    "vit_tiny_patch16_224.augreg_in21k_ft_in1k": Facts(224, 5_717_416, 1_253_683_200, 22_869_664, accuracy=75.454,
        crop=0.9, pixels="half", smallest=16, multiple=16, norms=False),
    "vit_small_patch16_224.augreg_in21k_ft_in1k": Facts(224, 22_050_664, 4_598_882_304, 88_202_656,
        accuracy=81.384, crop=0.9, pixels="half", smallest=16, multiple=16, norms=False),
    "xcit_nano_12_p16_224.fb_dist_in1k": Facts(224, 3_053_224, 550_952_448, 12_227_232, accuracy=72.31, crop=1.0,
        multiple=16),
    "vit_small_patch14_dinov2.lvd142m": Facts(518, 22_056_577, 46_696_739_712, 88_224_768, crop=1.0, smallest=14,
        multiple=14, norms=False, classes=0),
    "vit_small_patch14_reg4_dinov2.lvd142m": Facts(518, 22_057_729, 46_882_829_184, 88_229_376, crop=1.0,
        smallest=14, multiple=14, norms=False, classes=0),
    "vit_small_patch16_dinov3.lvd1689m": Facts(256, 21_587_329, 6_245_287_296, 86_347_776, crop=1.0, smallest=16,
        multiple=16, norms=False, classes=0, licence="dinov3-license"),
}
# fmt: on
