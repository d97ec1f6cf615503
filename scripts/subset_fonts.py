"""Makes crates/entropy-plot/assets/fonts/*.otf from Debian's fonts-inter: a subset whose digits are tabular.

Charts align numbers in columns, and resvg cannot be asked for OpenType features, so the subset maps digits to their
`tnum` glyphs. Needs fonttools. Run it only to change the subset; the result is committed.

    python3 scripts/subset_fonts.py DIR_WITH_INTER_OTF
"""
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

# Latin, IPA-free; Greek; Cyrillic; punctuation; super/subscripts; currency; letterlike; arrows; maths; shapes.
RANGES = [(0x20, 0x7E), (0xA0, 0x17F), (0x218, 0x21B), (0x2C6, 0x2DD), (0x370, 0x3FF), (0x400, 0x45F),
          (0x1E80, 0x1EFF), (0x2010, 0x2044), (0x2070, 0x209C), (0x20A0, 0x20BF), (0x2100, 0x2126),
          (0x2150, 0x215E), (0x2190, 0x21FF), (0x2200, 0x22FF), (0x25A0, 0x25FF), (0x2713, 0x2717), (0xFFFD, 0xFFFD)]

here = Path(__file__).resolve().parent.parent / "crates/entropy-plot/assets/fonts"
for style in ("Regular", "SemiBold"):
    font = TTFont(Path(sys.argv[1]) / f"Inter-{style}.otf")
    tabular = {}
    for record in font["GSUB"].table.FeatureList.FeatureRecord:
        if record.FeatureTag == "tnum":
            for index in record.Feature.LookupListIndex:
                for table in font["GSUB"].table.LookupList.Lookup[index].SubTable:
                    tabular.update(getattr(table, "ExtSubTable", table).mapping)
    for table in font["cmap"].tables:
        for digit in "0123456789":
            if ord(digit) in table.cmap:
                table.cmap[ord(digit)] = tabular.get(table.cmap[ord(digit)], table.cmap[ord(digit)])
    options = subset.Options(layout_features=["kern", "ccmp", "mark", "mkmk"], hinting=False, desubroutinize=False,
                             name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14, 16, 17], notdef_outline=True, recalc_timestamp=False)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[c for low, high in RANGES for c in range(low, high + 1)])
    cutter.subset(font)
    # Give both files the family name "Inter": a family "Inter SemiBold" would not be found by weight.
    for record in font["name"].names:
        if record.nameID in (1, 16):
            record.string = "Inter"
    font.save(here / f"Inter-{style}.otf")
    print(here / f"Inter-{style}.otf", (here / f"Inter-{style}.otf").stat().st_size)
