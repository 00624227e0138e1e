"""Word families of shopping questions in the challenge's languages, and a few neighbours."""

import re
import unicodedata
from collections.abc import Mapping


def family(stems: str = "", words: str = "", unspaced: str = "") -> re.Pattern[str]:
    """Compile a word family: `stems` begin a word, `words` are whole words, `unspaced` stand anywhere.

    Each is a list separated by blanks; an underscore stands for the blank inside an expression.
    """
    parts = [rf"\b(?:{_alternatives(stems)})"] if stems else []
    parts += [rf"\b(?:{_alternatives(words)})\b"] if words else []
    parts += [_alternatives(unspaced)] if unspaced else []
    return re.compile("|".join(parts), re.IGNORECASE)


def _alternatives(listed: str) -> str:
    return "|".join(re.escape(word).replace("_", "[ -]") for word in listed.split())


def typed_family(stems: str = "", words: str = "", unspaced: str = "") -> re.Pattern[str]:
    """Compile a word family whose words may be typed without their accents."""
    return family(_with_plain(stems), _with_plain(words), unspaced)


def _with_plain(listed: str) -> str:
    words = listed.split()
    return " ".join(dict.fromkeys([*words, *map(_without_accents, words)]))


def _without_accents(word: str) -> str:
    """Return a Latin word without accents; the dots of an umlaut stay, because they make another word."""
    if not word.isascii() and all(character < "\u0250" for character in word):
        marks = ("\u0300", "\u0301", "\u0302", "\u0303", "\u0327")
        parts = (part for part in unicodedata.normalize("NFD", word) if part not in marks)
        return unicodedata.normalize("NFC", "".join(parts))
    return word


ORDER = typed_family(
    stems="rank rerank re-rank prioriti priorisier prioris prioriz reorder re-order reordonn réordonn ordonn"
    " umsortier reihenfolge rangliste rangfolge rangord sortier classement classez jerarquiz graduatori"
    " rangschik sorteer volgorde",
    words="trier triez ordena ordene ordenar ordénalos orden_de clasifica clasifique ordina ordinare ordinate"
    " classifica full_ordering relevance_ordering ordering_of sort_the sort_these sort_all sort_them"
    " sort_by order_the order_these order_all order_them order_by in_order_of arrange arranged"
    " descending_order ascending_order ordne ordnen trie classe classer hiérarchise starting_with"
    " beginning_with comenzando empezando beginnend commençant cominciando iniziando sequence_of"
    " the_order best_order right_order order_in_which l'ordre el_orden l'ordine riordina reordena"
    " par_ordre ordre_de metti_in_ordine in_ordine full_order complete_order entire_order ordre_complet"
    " orden_completo ordine_completo sequenza_intera sequenza_completa decreasing increasing descending ascending"
    " absteigend aufsteigend absteigender aufsteigender décroissant décroissante ordre_croissant prix_croissant"
    " sequence_the put_them_in sort_desc sort_asc full_ranking full_perm restore_the_order reorder ordinali"
    " ordénalas ponme_en_orden ponlos_en_orden ordenador reordenador dans_l'ordre suite_complète tri_complet"
    " la_sequenza"
    " decreciente creciente descendente ascendente decrescente crescente",
    unspaced="降順 昇順 並べ替え 並び替え 並べ 順番 順に 順位 ランキング ランク付け 順列 い順 度順 性順 排序 排列 排名",
)
SELECT = typed_family(
    stems="select choos pick identif retriev mark_ take_ wähl auswähl such find kreuz markier sélectionn"
    " choisi retien repèr coch selecciona elige elegir escog marca_ señal indica_ scegli scelg selezion"
    " individua indic escolh selecion kies selecteer",
    words="mark name which find recommend nenne nennen welche trouve trouvez donne quels quelles cuáles"
    " identifique quali indica trova choix chosen quais",
    unspaced="選ん 選び 選択 選べ 選出 挙げ 选出 选择 挑选 选",
)
NUMBERS = family(
    stems="index indic indiz indíc número numéro",
    words="numeros indice nr n° ids id_numbers entiers enteros interi number numbers"
    " integers digits option_numbers nummer nummern zahlen zahl ziffern chiffre chiffres"
    " numero numeri cifre cifras nummers getallen ids",
    unspaced="番号 数字 编号 序号",
)
SEVERAL_NUMBERS = typed_family(
    words="nr n° ids id_numbers entiers enteros interi numbers"
    " indices indexes index_numbers integers nummern zahlen indizes numéros chiffres índices"
    " números numeri indici cifre nummers ids artikelnummern",
    unspaced="番号 编号 序号",
)
PICK_FROM = family(
    words="from_the_list from_the_following from_the_numbered out_of from_the listed from_these"
    " of_the_following list candidates aus_der_liste der_folgenden liste folgenden parmi de_la_liste"
    " suivants de_la_lista lista siguientes dall'elenco elenco dalla_lista seguenti",
    unspaced="リスト 候補 次の 以下 列表 下面 下列",
)
RELEVANCE = family(
    stems="relevan pertinen rilevan relevân best_match passend",
    unspaced="関連 適切 適合 相关 匹配",
)
PERMUTATION = family(
    stems="permutation permutación permutatie permutazion permutaç",
    unspaced="順列 排列",
)
CHOOSE = typed_family(
    stems="select choos pick wähl auswähl sélectionn choisi selecciona elige elegir escog scegli selezion"
    " escolh selecion kies selecteer",
    unspaced="選ん 選び 選択 选出 选择 挑选",
)
REASONING = re.compile(
    r"step by step|your reasoning|and why\b|explain why|say why|justify|schritt für schritt|begründe|étape par étape"
    r"|justifi|paso a paso|passo dopo passo|passo a passo|ステップ|理由を|一步一步",
    re.IGNORECASE,
)
EXTRACT = family(
    stems="lift_out relèv saca_ prendi_ extract annotat verbatim word_for_word exactly_as wörtlich"
    " unverändert übernimm pull isolat copy copi identif pinpoint locat determin quot recogni detect tag"
    " label read_off extrahier nenn erkenn zitier kopier extra relev repèr identifi recopi détermin cit"
    " estra individua riporta ricopia trascriv encuentr señal extrai retir tel_quel telle_quelle textuel"
    " mot_pour_mot sin_cambi tal_cual literal senza_modif esattament",
    words="find list name choose select spot provide write_down give finde gib trouve trouvez donne copie"
    " copia cita trova busca present_in haal citeer geef",
    unspaced="そのまま 抽出 抜き出 書き出 特定 引用 見つけ 提取 抽取 找出 摘录",
)
VERBATIM = family(
    stems="verbatim word_for_word exactly_as exact_words as_written unchanged unmodified wörtlich unverändert"
    " wortwörtlich tel_quel telle_quelle textuel mot_pour_mot sin_cambi tal_cual literal"
    " fragmento_exacto senza_modif senza_cambi esattament parola_per_parola palabra_por_palabra wort_für_wort"
    " as_they_appear as_it_appears as_they_stand as_it_stands as_it_is_spelled"
    " as_spelled as_they're_written as_it's_written same_spelling exact_words exact_text texto_exacto"
    " testo_esatto texte_exact genauer_wortlaut im_wortlaut",
    unspaced="そのまま 原文 原样",
)
DENOTES = family(
    stems="denot indicat refer_to stand_for standing_for stands_for bezeichn angeb indiqu désign exprim indic"
    " designa expresa esprim",
    words="giving gives naming names states stating express expresses expressing",
    unspaced="表す 表し 示す 指す 表示",
)
FROM_A_SOURCE = re.compile(
    r"\b(?:in|from|of|within|im|in der|aus dem|aus der|dans|du|de|del|nel|dal|della|dalla|nella|uit)\s+(?:\w+\s+){0,2}"
    r"(?:title|query|search|titel|produkttitel|suchanfrage|suche|anfrage|titre|requête|recherche|título|titulo|consulta"
    r"|búsqueda|titolo|ricerca)\b|(?:タイトル|クエリ|検索語|検索)(?:から|の中)",
    re.IGNORECASE,
)
COPY_OUT = re.compile(
    r"\b(?:extract|pull|lift|copy|isolate|extrah\w+|extra[ie]\w*|copi\w+)\b[^.\n]{0,40}"
    r"\b(?:names?|words?|phrase|terms?|span|value|wort|wörter|mots?|palabras?|parol[ae]|nom|nombre)\b[^.\n]{0,20}"
    r"\b(?:out of|from|in|within|aus|dans|de|del|da|dal)\b",
    re.IGNORECASE,
)
WHICH_PART = re.compile(
    r"\b(?:which|what)\b|\bwelche[rsn]?\b|\bquel(?:le)?s?\b|\bqu[ée] (?:palabras?|parte|términos?)|\bcuál|\bqual[ie]?\b"
    r"|\bwelke?\b|どの|何",
    re.IGNORECASE,
)
WRITE = family(
    stems="translat summar describ generat compos craft draft rewrit rephras paraphras formulat construct"
    " compar categori classif übersetz zusammenfass schreib verfass formulier beschreib beantwort traduc"
    " traduis traduir rédig résum décri écri escrib redact resum traduz riassum scriv descriv vertaal",
    words="write explain answer_the continue fasse erkläre erklären beantworte explique expliquez explica"
    " spiega leg_uit suggest advise",
    unspaced="翻訳 要約 説明して 作成 書いてください 翻译 总结 描述",
)
SET_ASIDE = re.compile(
    r"\b(?:do not|don't|never|without|no|not|kein\w*|ohne|nicht|ne|pas|sans|aucune?|sin|no|senza|non|nessuna?|sem"
    r"|não|geen|zonder)\b[^.!?;:\n]{0,60}|\bschreib\w*[^.!?\n]{0,40} (?:heraus|ab)\b"
    r"|\b(?:write|schreib\w*|écri\w*|escrib\w*|scriv\w*) (?:it |them |this |these )?(?:down|out|only|just|nur"
    r"|genau|solo"
    r"|uniquement|soltanto)|(?:原文|そのまま)[^。\n]{0,8}書い\w*|説明[^。\n]{0,4}(?:不要|しない|なし)|不要解释",
    re.IGNORECASE,
)
ENTITY = typed_family(
    stems="entität",
    words="entity entities entité entités entidad entidades entità entidade entiteit slot_value slot_type",
    unspaced="エンティティ 实体 固有表現",
)
SEARCH = typed_family(
    stems="quer search suchanfrage suchbegriff suchwort requête recherch consulta búsqueda ricerca pesquisa"
    " zoekopdracht",
    words="keyword anfrage suche suchwort mot-clé mots-clés palabra_clave parola_chiave zoekterm",
    unspaced="クエリ 検索 キーワード 查询 搜索",
)
TITLE = typed_family(
    stems="produktname artikelname",
    words="title titles titel produkttitel artikelname titre título titulo titolo product_name name_of_the_product",
    unspaced="タイトル 商品名 标题",
)
ATTRIBUTE = family(
    stems="brand colo[u]r colour color material size product_type attribut audience flavo scent capacit"
    " occasion pattern dimension model_number marke farbe größe produkttyp produktart zielgruppe marque couleur"
    " matièr taille"
    " type_de_produit public_cible goût marca talla tamaño tipo_de_producto público sabor colore taglia"
    " tipo_di_prodotto gusto cor_ kleur merk maat",
    words="theme thème tema thema weight gewicht poids peso compatible kompatible number_of_pieces style"
    " shape length width fabric model cor matière",
    unspaced="ブランド 色 素材 サイズ 商品タイプ 対象 型番 品牌 颜色 材质 尺寸",
)
COPIED = family(
    stems="phrase fragment span snippet expression value component element wort wörter ausdr begriff bezeichn"
    " mot_ mots_ término expresion expresión parole espression termin wendung",
    words="teil teile partie parties parte partes word words term terms part text mot mots palabra palabras"
    " frase frases parola palavras woorden element value",
    unspaced="語句 単語 語 部分 フレーズ 词语 短语",
)
REVIEW = family(
    stems="review bewertung rezension kundenmeinung reseña recension avaliaç beoordeling testimonial",
    words="feedback avis opinión opiniones commentaire évaluation comment",
    unspaced="レビュー 口コミ 评论 评价 感想",
)
KEYPHRASE = family(
    stems="stelle_ keyphrase key_phrase phrase snippet quot passage excerpt expression schlüsselphras"
    " kernaussag textstell formulierung wendung expressi expres citation cita_ frase fragment espression"
    " citazion",
    words="words span wortlaut frase frases expression passage extrait brano",
    unspaced="表現 キーフレーズ フレーズ 語句 文言 箇所 短语 关键词组",
)
ASPECT = family(
    stems="aspe[c]t aspekt aspect aspecto aspetto",
    words="topic about regarding concerning thema sujet tema",
    unspaced="観点 側面 方面",
)
SUMMARY = family(
    stems="summar description beschreibung descripción descrizion characteristic feature keywords merkmal"
    " schlagw schlagwört zusammen caractéristique características caratteristic mots-clés palabras_clave"
    " parole_chiave",
    unspaced="説明文 特徴 要約 描述 特点",
)
TRANSLATE = family(
    stems="pon_en mettez_en mets_en metti_in put_into translat übersetz traduc traduis traduir traduz tradott"
    " vertaal localis localiz render",
    unspaced="翻訳 訳して 訳し 翻译 译成 번역",
)
SHOP = family(
    stems="marketplace marktplatz webshop website webseite onlineshop boutique tienda negozio winkel store"
    " market listing",
    words="shop shops site sito sitio title titel titre título titolo version",
    unspaced="サイト ショップ マーケット タイトル 商品名 商店 标题",
)
BOUGHT = family(
    stems="purchas bought buy kauf gekauft bestell achet compr acquist koop gekocht",
    unspaced="購入 買 购买",
)
SESSION = family(
    stems="action_sequence sequence session histor verlauf sitzung séquence secuencia historial sessione"
    " cronologia sequenza acciones azioni",
    words="actions aktionen",
    unspaced="履歴 行動 セッション 历史 记录",
)
OUTPUT = typed_family(
    stems="output answer response reply result ausgab antwort ergebnis sortie répons respond salida respuest"
    " rispost uscita resposta saída antwoord uitvoer format example beispiel exempl ejempl esempi note"
    " hinweis",
    unspaced="出力 回答 答え 答案 输出 例",
)
INSTRUCTION = typed_family(
    stems="ask goal return find order task instruct aufgabe anweisung consigne tâche tarea instrucc compito"
    " istruz question frage"
    " pregunta domanda pergunta opdracht",
    unspaced="指示 タスク 質問 任务 说明 问题",
)

_NUMBER_WORDS = (
    ("one single 一", 1),
    ("two zwei deux dos due dois twee 二 两", 2),
    ("three drei trois tres tre três drie 三", 3),
    ("four vier quatre cuatro quattro quatro 四", 4),
    ("five fünf cinq cinco cinque vijf 五", 5),
    ("six sechs seis sei zes 六", 6),
    ("seven sieben sept siete sette sete zeven 七", 7),
    ("eight acht huit ocho otto oito 八", 8),
    ("nine neun neuf nueve nove negen 九", 9),
    ("ten zehn dix diez dieci dez tien 十", 10),
)
NUMBER_WORDS: Mapping[str, int] = {word: value for words, value in _NUMBER_WORDS for word in words.split()}
COUNTERS = "つ|個|件|点|種類|个|项|種"

LANGUAGE_NAMES: Mapping[str, str] = {
    "en": r"english|englisch\w*|anglais\w*|ingl[eé]s\w*|inglese|engels|英語|英文|英语",
    "de": r"german|deutsch\w*|allemand\w*|alem[aá]n\w*|alemão|tedesc\w+|duits|ドイツ語|德文|德语",
    "fr": r"french|französisch\w*|français\w*|franc[eé]s\w*|francês|frances[ei]|frans|フランス語|法文|法语",
    "es": r"spanish|spanisch\w*|espagnol\w*|español\w*|castellano|espanhol|spagnol\w+|spaans|スペイン語|西班牙语",
    "it": r"italian|italienisch\w*|italien|italienne|italiano|italiana|italiaans|イタリア語|意大利文|意大利语",
    "ja": r"japanese|japanisch\w*|japonais\w*|japon[eé]s\w*|japonês|giapponese|japans|日本語|日文|日语",
    "pt": r"portuguese|portugiesisch\w*|portugais\w*|portugu[eéê]s\w*|portoghese|portugees|ポルトガル語|葡萄牙语",
    "zh": r"chinese|chinesisch\w*|chinois\w*|chin[oê]\w*|cinese|中国語|中文|汉语",
    "nl": r"dutch|niederländisch\w*|néerlandais\w*|neerland[eé]s\w*|holandés|olandese|nederlands|オランダ語|荷兰语",
    "ko": r"korean|koreanisch\w*|coréen\w*|coreano|韓国語|韩语|한국어",
}  # fmt: skip
