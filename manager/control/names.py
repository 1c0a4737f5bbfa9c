"""A name for a service that was given none. The same service always gets the same."""

import re

_WORD = re.compile(r"\w+")
_ADJECTIVES = _WORD.findall("""
    able agile amber azure bold brave brisk calm clever cosmic crisp curious daring eager early fair fond gentle golden
    happy humble jolly keen kind lively lucid merry mighty modest noble patient polite proud quick quiet silver steady
    sunny swift wise
""")
_NOUNS = _WORD.findall("""
    acorn aspen badger beacon birch brook canyon cedar comet coral crane delta ember falcon fern fjord glacier grove
    harbor heron island juniper kestrel lagoon lantern maple meadow meteor orchard otter pebble pine quartz raven reef
    river sparrow summit tundra willow
""")
_NUMBERS = 1000


def name_for(service_id: str) -> str:
    """Two words and a number, drawn from the id."""
    rest, adjective = divmod(int(service_id, 36), len(_ADJECTIVES))
    rest, noun = divmod(rest, len(_NOUNS))
    return f"{_ADJECTIVES[adjective]}_{_NOUNS[noun]}_{rest % _NUMBERS}"
