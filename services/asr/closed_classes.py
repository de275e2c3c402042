"""The small words of the languages that we know them of: what no line should end with, and what one should begin with. Pure data."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClosedClasses:
    """Words in lower case. A word that may be of two classes is in that which binds it tighter to what follows."""

    articles: frozenset[str]
    """Articles, and what stands in their place: a noun follows."""
    prepositions: frozenset[str]
    conjunctions: frozenset[str]
    binding: frozenset[str]
    """Pronouns before their verb, auxiliaries, negations: better not parted from what follows."""
    opening: frozenset[str]
    """Those that are capitalised only where a sentence begins, which a recogniser may not have ended before."""


def _classes(articles: str, prepositions: str, conjunctions: str, binding: str, *, always_capital: str = "") -> ClosedClasses:
    first, second, third, fourth = (frozenset(words.split()) for words in (articles, prepositions, conjunctions, binding))
    return ClosedClasses(first, second, third, fourth, (first | second | third | fourth) - frozenset(always_capital.split()))


NONE = _classes("", "", "", "")
"""Of any other language: punctuation and pauses alone say where to break."""

CLOSED_CLASSES: Mapping[str, ClosedClasses] = {
    "en": _classes(
        "a an the my your his its our their this these those every each no some any",
        "of in on at by for with from to into onto over under about after before between through during without within against among "
        "along around above below beside despite except across behind beyond near like than upon toward towards until till since per via",
        "and or but nor so yet because although though while when where which who whom whose that if unless whether as",
        "i you he she it we they is are was were be been am has have had do does did will would can could shall should may might must not "
        "very more most i'm you're he's she's it's we're they're i've you've we've they've i'll you'll we'll they'll don't doesn't didn't "
        "can't won't isn't aren't wasn't weren't",
        always_capital="i i'm i've i'll may will",
    ),
    "de": _classes(
        "der die das den dem des ein eine einen einem einer eines kein keine keinen keinem keiner keines mein meine meinen meinem meiner "
        "dein deine deinen deinem deiner sein seine seinen seinem seiner ihr ihre ihren ihrem ihrer unser unsere unseren unserem unserer "
        "dieser diese dieses diesen diesem jeder jede jedes jeden jedem",
        "in im ins an am ans auf aus bei beim bis durch für gegen hinter mit nach neben ohne seit über um unter von vom vor während wegen "
        "zu zum zur zwischen trotz statt",
        "und oder aber denn sondern dass daß weil wenn als ob obwohl während nachdem bevor damit sodass wo wie",
        "ich du er sie es wir man ist sind war waren wird werden wurde wurden hat haben hatte hatten kann können konnte muss müssen soll "
        "sollen will wollen darf nicht sehr",
        always_capital="sie ihr ihre ihren ihrem ihrer",
    ),
    "fr": _classes(
        "le la les l' un une des du au aux ce cet cette ces mon ma mes ton ta tes son sa ses notre nos votre vos leur leurs quel quelle "
        "quels quelles chaque aucun aucune",
        "à de d' en dans sur sous par pour avec sans vers chez entre contre depuis pendant avant après devant derrière malgré jusqu'à",
        "et ou mais ni car donc or que qu' qui dont où si quand lorsque comme parce puisque quoique",
        "je j' tu il elle on nous ils elles ne n' se s' me m' te t' y est sont était étaient a ont avait avaient sera suis es sommes êtes "
        "ai as avons avez peut peuvent doit très plus",
    ),
    "es": _classes(
        "el la los las lo un una unos unas al del mi mis tu tus su sus nuestro nuestra nuestros nuestras este esta estos estas ese esa "
        "aquel aquella cada ningún ninguna algún alguna",
        "a de en con por para sin sobre entre hasta desde hacia contra según durante tras ante bajo",
        "y e o u pero sino ni que porque aunque si cuando donde como mientras pues quien cuyo",
        "yo tú él ella nosotros ellos ellas no se me te nos le les es son era eran fue fueron ha han había habían está están ser muy más",
    ),
    "it": _classes(
        "il lo la i gli le l' un uno una un' del dello della dei degli delle dell' al allo alla ai agli alle all' dal dallo dalla dai "
        "dagli dalle dall' nel nello nella nei negli nelle nell' sul sullo sulla sui sugli sulle sull' questo questa questi queste "
        "quel quella mio mia tuo tua suo sua nostro nostra vostro vostra loro ogni nessun nessuna",
        "a di d' da in con su per tra fra senza sotto sopra verso contro durante dopo prima",
        "e ed o ma né che perché se quando dove come mentre anche però quindi poiché benché cui",
        "io tu lui lei noi voi non si mi ti ci vi è sono era erano ha hanno aveva avevano sarà ho hai molto più",
    ),
    "pt": _classes(
        "o a os as um uma uns umas ao aos à às do da dos das no na nos nas pelo pela pelos pelas num numa meu minha teu tua seu sua nosso "
        "nossa este esta estes estas esse essa aquele aquela cada nenhum nenhuma",
        "de em com por para sem sobre entre até desde contra durante após ante sob",
        "e ou mas nem que porque embora se quando onde como enquanto pois quem cujo",
        "eu tu ele ela nós eles elas não me te lhe é são era eram foi foram tem têm tinha está estão ser muito mais",
    ),
    "nl": _classes(
        "de het een 't mijn jouw zijn haar ons onze jullie hun deze dit die geen elke elk iedere",
        "van in op aan met voor door over onder bij naar uit om tot tegen tussen zonder na tijdens sinds langs binnen buiten te",
        "en of maar want dus dat omdat hoewel als toen wanneer terwijl waar wie zodat",
        "ik jij je hij zij ze wij we is was waren ben bent heeft hebben had hadden wordt werd worden zal zou kan moet niet zeer",
    ),
}
