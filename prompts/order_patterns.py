"""Patterns of orders: all numbers, from one end of a scale to the other, series ("first, second and so on")."""

import re

ALL_NUMBERS = re.compile(
    r"\b(?:every|all|each)(?: of)?(?: the)?(?: \w+){0,2} (?:numbers?|items?|products?)\b[^.\n]{0,40}\b(?:once|listed)"
    r"|\ball (?:the )?(?:ids|keys)\b|tod[oa]s (?:las claves|los ids)|toutes les clés|alle schlüssel|tutte le chiavi"
    r"|\ball(?: of)?(?: the)?(?: \w+)? numbers\b|\ball of (?:them|'?em|these|those)\b"
    r"|\balle (?:\w+ )?(?:nummern|zahlen)|\btous les num[ée]ros"
    r"|\btodos los números|\btutti i numeri|jede nummer|chaque numéro|cada número|ogni numero|すべての番号|全ての番号",
    re.IGNORECASE,
)
FROM_BEST_TO_WORST = re.compile(
    r"\b\w{2,}est(?: \w+)? to (?:the )?\w{2,}est\b|\b(?:newest|oldest|cheapest|largest|smallest|best"
    r"|most \w+) first\b(?!\))|\b(?:most|best|highest)\b[^\n]{1,120}?\b(?:least|worst|lowest)\b"
    r"|\b(?:small|big|cheap|low|high|old|new|short|long|light|heavy|good|best|worst|klein|groß|petit|grand|min|max)"
    r" ?(?:→|->|=>|>) ?(?:large|big|small|expensive|cheap|high|low|new|old|long|short|heavy|light|bad|worst"
    r"|best|groß|klein"
    r"|grand|petit|max|min)\b"
    r"|\bfrom (?:the )?(?:least|worst|lowest|most|\w{2,}est)\b[^.\n]{0,40}?\bto (?:the )?(?:most|best|highest"
    r"|\w{2,}est)\b"
    r"|\bvo[nm]\b[^.\n]{1,80}?\b(?:bis|zu[mr]?)\b[^.\n]{1,40}?(?:wenigsten|schlecht|niedrig|unwichtig)"
    r"|\bvo[nm] (?:\w+ )?\w{3,}ste[nr]?\b[^.\n]{0,40}?\b(?:bis|zu[mr]?|nach)\b[^.\n]{0,20}?\w{3,}ste[nr]?\b"
    r"|\b(?:du|de la|des) (?:plus|moins|meilleure?s?|pires?)\b[^.\n]{0,60}?\b(?:au|à la|aux) (?:plus|moins"
    r"|meilleure?|pire)"
    r"|\bde(?:l| la| lo)? (?:m[áa]s|menos|mayor|menor|mejor|peor)\b[^.\n]{0,60}?"
    r"\ba(?:l| la| lo)? (?:m[áa]s|menos|menor|mayor|peor|mejor)\b"
    r"|\bd(?:a|al|alla|all'|ai|alle) ?(?:pi[ùu]|meno|miglior|peggior)[^.\n]{0,60}?"
    r"\ba(?:l|lla|ll'|i|lle)? ?(?:meno|pi[ùu]|miglior|peggior)"
    r"|\bd[aoe] (?:mais|menos|melhor|pior)\b[^.\n]{0,60}?\b(?:mais|menos|pior|melhor)\b|van (?:meest|best|minst"
    r"|slechtst)",
    re.IGNORECASE,
)
SERIES = re.compile(
    r"\b(?:first|next|second|one|two|erst|zweit|nächst|premi|deuxi|suivant|primer|segund|siguient|prim[oa]\b|second)"
    r"[^\n]{0,100}?(?:\band so (?:on|forth)|\betc\b|\busw\b|und so weiter|ainsi de suite|as[íi] sucesivamente"
    r"|cos[ìi] via"
    r"|\becc\b)"
    r"|\bfirst\b[^\n]{1,60}\b(?:second|next|then)\b[^\n]{1,60}\b(?:last|third|finally)\b"
    r"|\bzuerst\b[^\n]{1,60}\b(?:dann|danach|zweite[rs]?)\b[^\n]{1,60}\bzuletzt\b",
    re.IGNORECASE,
)
