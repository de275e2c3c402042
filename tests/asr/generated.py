"""Transcripts made by chance from a seed: eighteen languages and nine scripts, slow speech and fast, with pauses where people make them."""

import random
from dataclasses import dataclass

from services.asr.transcript import Word
from tests.asr.judging import ARTICLES

# ruff: noqa: RUF001  letters of other scripts are meant as such
VOCABULARIES = {
    "en": "time people river morning government very quickly under with from because although house children remember yesterday is of and",
    "de": "Zeit Menschen Geschwindigkeit heute morgen Regierung und aber weil mit nach über ist hat schnell Haus Kinder erinnern gestern",
    "fr": "temps gens rivière matin gouvernement très vite sous avec parce maison enfants hier est de et dans qui l'homme aujourd'hui",
    "es": "tiempo gente río mañana gobierno muy rápido bajo con porque casa niños ayer es de y en que recuerda entonces",
    "it": "tempo gente fiume mattina governo molto presto sotto con perché casa bambini ieri è di e in che ricorda allora",
    "pt": "tempo pessoas rio manhã governo muito rápido sob com porque casa crianças ontem é de e em que lembra então",
    "nl": "tijd mensen rivier ochtend regering heel snel onder met omdat huis kinderen gisteren is van en in dat herinnert dan",
    "ru": "время люди река утро правительство очень быстро под с потому дом дети вчера это и в что помнит тогда",
    "el": "χρόνος άνθρωποι ποτάμι πρωί κυβέρνηση πολύ γρήγορα κάτω με γιατί σπίτι παιδιά χθες είναι και σε που",
    "pl": "czas ludzie rzeka rano rząd bardzo szybko pod z ponieważ dom dzieci wczoraj jest i w że pamięta wtedy",
    "ar": "الوقت الناس النهر الصباح الحكومة جدا بسرعة تحت مع لأن البيت الأطفال أمس هو و في من يتذكر",
    "he": "זמן אנשים נהר בוקר ממשלה מאוד מהר תחת עם כי בית ילדים אתמול הוא של ו ב זוכר",
    "hi": "समय लोग नदी सुबह सरकार बहुत तेज़ नीचे साथ क्योंकि घर बच्चे कल है और में कि याद",
    "ko": "시간 사람들 강 아침 정부 매우 빨리 아래 함께 왜냐하면 집 아이들 어제 이다 그리고 기억",
    "zh": "时间 人们 河 早上 政府 很 快 下面 和 因为 房子 孩子们 昨天 是 的 在 记得 我们",
    "ja": "時間 人々 川 朝 政府 とても 速く の を は が 家 子供たち 昨日 です ます 思い出す ちょっと コーヒー",
    "th": "เวลา ผู้คน แม่น้ำ เช้า รัฐบาล มาก เร็ว ใต้ กับ เพราะ บ้าน เด็ก เมื่อวาน คือ ของ และ ใน จำ",
    "tr": "zaman insanlar nehir sabah hükümet çok hızlı altında ile çünkü ev çocuklar dün ve bir hatırlıyor",
}
NAMES = ("Anna Berg", "Carlos Ruiz", "Maria Rossi", "John Keats")
ENDS = {"zh": "。", "ja": "。", "hi": "।", "ar": ".", "th": ""}
COMMAS = {"zh": "，", "ja": "、", "ar": "،", "th": ""}


@dataclass(frozen=True)
class Generated:
    language: str
    words: list[Word]
    seconds: float


def generated(seed: int, *, fastest: float = 18.0) -> Generated:
    """Up to two minutes, spoken with 5 to `fastest` columns a second (a wide character is two), each word within a fifth of that."""
    chance = random.Random(seed)
    language = chance.choice(sorted(VOCABULARIES))
    pace = chance.uniform(5.0, fastest)
    until = chance.uniform(5, 118)
    words: list[Word] = []
    now = chance.uniform(0, 2)
    while now < until:
        for text in _sentence(chance, language):
            lasts = (_width(text) + 1) / pace * chance.uniform(0.8, 1.2)
            words.append(Word(text, round(now, 2), round(now + lasts, 2)))
            now += lasts + _pause(chance, text)
    return Generated(language, words, words[-1].end + chance.uniform(0.9, 3))


def _width(text: str) -> int:
    return sum(2 if char > "\u2e7f" else 1 for char in text)


def _pause(chance: random.Random, text: str) -> float:
    if text[-1] in ".?!。।":
        return chance.choice((0.0, 0.2, 0.5, 1.0, 2.5))
    return chance.choice((0.0, 0.1, 0.3)) if text[-1] in ",、，،" else chance.choices((0.0, 0.4, 0.9), (60, 1, 1))[0]


def _sentence(chance: random.Random, language: str) -> list[str]:
    texts: list[str] = []
    for _ in range(chance.choice((2, 4, 8, 12, 20, 30))):
        texts += _phrase(chance, language, after_name=bool(texts) and texts[-1].istitle())
        if chance.random() < 0.1:
            texts[-1] += COMMAS.get(language, ",")
    texts[0] = texts[0][0].upper() + texts[0][1:]
    texts[-1] = texts[-1].rstrip(",、，،") + ENDS.get(language, chance.choice((".", ".", ".", "?", "!")))
    return texts


def _phrase(chance: random.Random, language: str, *, after_name: bool) -> list[str]:
    if language in ARTICLES and not after_name and chance.random() < 0.03:
        return chance.choice(NAMES).split()
    word = chance.choice(VOCABULARIES[language].split())
    return (
        [chance.choice(sorted(ARTICLES[language])), word] if language in ARTICLES and not after_name and chance.random() < 0.25 else [word]
    )
