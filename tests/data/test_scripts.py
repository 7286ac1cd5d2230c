"""Writing systems of texts."""

import pytest

from tenor.data.scripts import main_script, script_mix


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("plain", "Latin"),
        ("Größe", "Latin"),
        ("Мир без войны", "Cyrillic"),
        ("你好世界", "Han"),
        ("猫がすわる", "Japanese"),
        ("고양이", "Hangul"),
        ("قطة", "Arabic"),
        ("बिल्ली", "Devanagari"),
        ("ＡＢＣ", "Latin"),
        ("2024-01-01", None),
        ("", None),
    ],
)
def test_the_script_of_a_text(text, script):
    assert main_script(text) == script


def test_most_letters_decide():
    assert main_script("API для работы с данными") == "Cyrillic"


def test_the_mix_is_a_share_of_the_texts():
    mix = script_mix(["one", "two", "три", "12"])
    assert mix == {"Latin": 0.5, "Cyrillic": 0.25, "none": 0.25}
    many = script_mix(["a"] * 9_000 + ["б"] * 1_000)
    assert many["Cyrillic"] == pytest.approx(0.1)
