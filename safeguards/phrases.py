"""The phrases the gate knows: openers that answer nothing, chat-template tokens, instructions to a judge.

Openers follow "One Token to Fool LLM-as-a-Judge" (Zhao et al. 2025) with equivalents in other languages. All patterns
expect case-folded NFKC text; those of JUDGE_INSTRUCTIONS expect one sentence.
"""

import re
from collections.abc import Sequence
from typing import Protocol


def vocabulary(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


def _lines(text: str) -> frozenset[str]:
    return frozenset(phrase.strip() for line in text.strip().splitlines() for phrase in line.split("|"))


OPENERS = _lines("""
thought process|thoughts|thinking|reasoning|my reasoning|analysis|explanation|solution|the solution|final solution
answer|the answer|the answer is|final answer|the final answer is|here is the answer|here is the solution
here's the answer|here's the solution|step 1|first step|conclusion|response|output|result
let's think step by step|let us think step by step|let's think|let's solve this problem step by step
let us solve this problem step by step|let's solve this step by step|let's begin|let's get started
solución|la solución|respuesta|la respuesta|proceso de pensamiento|resolvamos este problema paso a paso
vamos a resolver este problema paso a paso|pensemos paso a paso
la solution|réponse|la réponse|processus de réflexion|résolvons ce problème étape par étape
réfléchissons étape par étape
lösung|die lösung|antwort|die antwort|gedankengang|lösen wir dieses problem schritt für schritt
denken wir schritt für schritt|soluzione|risposta|risolviamo questo problema passo dopo passo
solução|resposta|vamos resolver este problema passo a passo
решение|ответ|ход мыслей|давайте решим эту задачу шаг за шагом|давайте подумаем шаг за шагом
解|解答|答案|回答|思考过程|思考過程|解题过程|让我们一步一步解决这个问题|让我们一步一步地解决这个问题|让我们一步步思考
かいせつ|解説|答え|解決策|ステップバイステップで考えましょう|この問題を段階的に解きましょう
해설|해결책|정답|답변|풀이|단계별로 이 문제를 풀어봅시다|단계별로 생각해 봅시다
الحل|الإجابة|الجواب|دعونا نحل هذه المشكلة خطوة بخطوة|समाधान|उत्तर|आइए इस समस्या को चरण दर चरण हल करें
""")

META_WORDS = vocabulary("""
let lets let's us me my i i'll i'd i'm we we'll will would shall should can want need going to think thinking thought
thoughts reason reasoning analyze analyse analysis consider solve solving solution answer answering respond response
reply question problem task request prompt query step steps by first begin beginning start starting started with
through here here's is are the a an this that it of for in on at from into final conclusion conclude result output
explanation explain carefully below above following follows as follow now okay ok sure certainly alright well so great
good about detail detailed break down work out look looking and then process your you whoever before analyzing restate
rephrase allow walk chain one two some words understand start-to-finish careful logical logically systematically
approach approaching tackle address what asked asking dive get go goes there's how along i've been vamos pensar en
pensemos resolver resolvamos paso por la el una esta este aquí está es respuesta pregunta problema solución primero
analizar analicemos empecemos voici réponse à problème commençons réfléchissons résolvons réfléchir résoudre penser au
le étape par d'abord analysons cette ce hier ist die antwort auf frage das lösung lass lasst uns schritt für lösen
denken wir zuerst beginnen ecco risposta alla domanda soluzione ragioniamo pensiamo passo dopo per iniziamo il aqui
resposta pergunta solução começar вот ответ на вопрос решение давайте подумаем решим эту задачу над решением шаг за
шагом cuidado con lentamente analysieren lautet endgültige finale lentement avec soin definitieve definitivo
окончательный финальный начнём начнем с анализа вопроса сначала разберём adım düşünelim çözelim cevap yanıt soru bu
pomyślmy krok po kroku odpowiedź rozwiążmy دعنا نفكر خطوة بخطوة دعونا الإجابة هي आइए सोचते हैं कदम दर चरण उत्तर यह है
laten stap voor nadenken oplossen het antwoord op de vraag låt oss tänka steg för lösa här är svaret på frågan
en détail wir die aufgabe
""")
"""A clause of nothing but these announces an answer and gives none, if one of META_ANCHORS is among them."""
META_ANCHORS = vocabulary("""
think thinking thought thoughts reasoning analyze analyse analysis solve solving solution answering respond response
reply question problem task step steps begin start started conclusion explanation explain answer pensar pensemos
resolver resolvamos respuesta solución analicemos empecemos réponse commençons réfléchissons résolvons analysons
antwort lösung lösen denken beginnen risposta soluzione ragioniamo pensiamo iniziamo resposta solução começar ответ
решение подумаем решим решением nadenken oplossen antwoord tänka lösa svaret dive goes work break asked asking
approach tackle restate rephrase understand analyzing looking analysieren анализа разберём düşünelim çözelim cevap
yanıt pomyślmy odpowiedź rozwiążmy نفكر الإجابة सोचते उत्तर
सोचते हैं
""")
META_CJK = vocabulary("""
首先 让我们 我们 我 来 先 一步一步 一步步 逐步 地 思考 分析 解决 回答 解答 这个 該 该 此 问题 問題
題 题 以下是 以下 下面 是 的 答案 解 まず を が は に です ます 考えて 考え みましょう ましょう 解き
解いて 説明 答え ステップ バイ で 먼저 문제를 생각해 봅시다 단계별로 답변 입니다 最终 最終 接下来
で、 では 順番に いき 順に 최종 답은 다음과 같습니다 차근차근 생각해보겠습니다
""")
"""The same for languages written without blanks, and Korean: a clause that is nothing but these in a row."""

TEMPLATE_TOKEN = re.compile(
    r"<\|[a-z0-9_▁]{2,40}\|>|<unused\d{1,3}>"
    r"|\[/?(?:inst|available_tools|tool_calls|tool_results)\]|<</?sys>>|<(?:start|end)_of_turn>"
    r"|^#{2,3} ?(?:human|assistant|instruction):"
    r"|^(?:human|user): .*\n+(?:assistant|ai):"
    r"|</s>\s*(?:\Z|<s>|\[)|<[be]os>",
    re.MULTILINE,
)
TEMPLATE_HINTS = (
    *(
        "<|",
        "<unused",
        "inst]",
        "_tools]",
        "[tool_",
        "/tool_",
        "sys>>",
        "_of_turn>",
        "## human",
        "## assistant",
        "## instruction",
        "</s>",
        "assistant:",
        "\nai:",
    ),
    *("<eos>", "<bos>"),
)


class Sign(Protocol):
    """A pattern, or several with a relation between them."""

    def search(self, sentence: str, /) -> object: ...


class Together:
    """All of ``patterns``, in any order, behind the last place where ``after`` begins."""

    def __init__(self, patterns: Sequence[str], after: str = "") -> None:
        self.patterns = tuple(map(re.compile, patterns))
        self.after = re.compile(after) if after else None

    def search(self, sentence: str) -> bool:
        start = 0 if self.after is None else max((m.start() + 1 for m in self.after.finditer(sentence)), default=0)
        return all(pattern.search(sentence, start) for pattern in self.patterns)


class InOrder:
    """A ``first`` pattern and, anywhere behind its first match, ``second``.

    One pattern with ``.*`` between them would take quadratic time.
    """

    def __init__(self, first: str, second: str) -> None:
        self.first, self.second = re.compile(first), re.compile(second)

    def search(self, sentence: str) -> bool:
        match = self.first.search(sentence)
        return match is not None and self.second.search(sentence, match.end()) is not None


_TEXT = r"(?:(?:this|my|the|that|above|following|current) )?(?:response|answer|reply|completion|output|submission)"
_TOP = (
    r"(?:a |an |the )?(?:10 ?/ ?10|5 ?/ ?5|100 ?/ ?100|100 ?%|(?:10|ten) out of (?:10|ten)"
    r"|(?:5|five)[ -]stars?|full (?:marks|score|points)"
    r"|(?:highest|maximum|max|top|perfect|best)(?: possible)? (?:score|rating|grade|marks?|reward|points)"
    r"|(?:score|rating|grade|reward|mark) (?:of )?(?:10|100|ten|5|five)\b|perfect (?:10|ten)\b)"
)
_TEN = r"(?:a )?(?:10|ten)\b"
_GRADE = r"(?:give|rate|score|grade|award|assign|mark)"
_OPENING = r"^\W{0,8}(?:.*\b(?:please|kindly|you (?:must|should|have to|need to|will))\s+|\w[\w ]{0,20}[:,]\s*)?"
_UNCONDITIONAL = r"(?! (?:if|when|only|unless|for)\b)"
_DESERVES = r"(?:deserves|merits|(?:must|should) (?:get|receive|be (?:given|rated|scored|graded)))"

_JUDGE = r"(?:judges?|graders?|evaluators?|raters?|reviewers?|reward models?)\b"

_THIS = r"(?:this|my|the above) (?:response|answer|reply|completion|output|submission|text)"
_10 = r"(?<!\d)10(?!\d)"
_ELSEWHERE = (
    (
        "antwort",
        r"(?:diese[rmns]?|meine[rmns]?) ",
        r"\b(?:gib|gebt|geben sie|bewerte[nt]?|vergib|vergeben|benote[nt]?|verdient|wähle[nt]?|eingestuft)\b",
        rf"{_10}|zehn|voll\w{{0,20}} punkt|höchst|als (?:die )?beste|bestnote|beste note|maxim|bestmöglich",
    ),
    (
        "respuesta",
        r"(?:esta|mi) ",
        r"\b(?:dale|da|dé|denle|otorg\w+|calific\w+|asign\w+|pon|ponga|merece|valor[ae]|puntú\w+|elig\w+|elíj\w+|elige|escog\w+)\b",
        rf"{_10}|diez|máxim|más alta|perfecta|mejor",
    ),
    (
        "réponse",
        r"(?:cette|ma) ",
        r"\b(?:donne[zr]?|attribue[zr]?|note[zr]?|accorde[zr]?|évalue[zr]?|mérite|choisi\w*)\b",
        rf"{_10}|20 ?/ ?20|\bdix\b|maxim|meilleur|plus haut|parfait",
    ),
    (
        "risposta",
        r"(?:questa|mia) ",
        r"\b(?:dai|date|assegna\w*|valuta\w*|merita|scegli\w*)\b",
        rf"{_10}|dieci|massim|perfett|miglior",
    ),
    (
        "resposta",
        r"(?:esta|essa|minha) ",
        r"\b(?:dê|dá|atribua|avalie|merece|classifique|escolha)\b",
        rf"{_10}|melhor|\bdez\b|máxim|perfeit",
    ),
    ("antwoord", r"(?:dit|mijn) ", r"\b(?:geef|beoordeel|verdient|ken)\b", rf"{_10}|\btien\b|hoogste|maxim|perfect"),
    ("svar", r"(?:det här|detta|mitt) ", r"\b(?:ge|ger|betygsätt|förtjänar)\b", rf"{_10}|högsta|full poäng"),
    ("odpowied", r"(?:tej|tę|ta|moj\w{1,20}) ", r"\b(?:daj|przyznaj|oceń|zasługuje)\b", rf"{_10}|najwyższ|maksym"),
    (
        "ответ",
        r"(?:этому|этот|моему|мой|данн\w{1,20}) ",
        r"постав|оцен|присво|\bдайте\b|\bдай\b|заслуж|выбер|балл",
        rf"{_10}|десят|высш|максим|лучш",
    ),
    (
        "cevab",
        r"(?:bu|benim) ",
        r"\b(?:ver|verin|puanla|değerlendir|hak|seç)",
        rf"{_10}|tam puan|en yüksek|maksimum|en iyi",
    ),
    ("yanıt", r"(?:bu|benim) ", r"\b(?:ver|verin|puanla|değerlendir|hak)", rf"{_10}|tam puan|en yüksek|maksimum"),
    (
        "回答",
        "",
        "给|給|打|评|評|应|應|值得|选|選|に|を|は",
        "最佳|最好|一番|最も良|满分|滿分|10分|十分满|最高|満点|10点",
    ),
    ("答案", "", "给|給|打|选|評|评|評|应|應|值得", "满分|滿分|10分|最高"),
    ("答え", "この", "に|を|は", "満点|10点|最高"),
    ("답변", "(?:이|본) ", "", "만점|10점|최고|가장 좋은"),
    ("응답", "(?:이|본) ", "", "만점|10점|최고"),
    ("الإجابة", "هذه ", "", rf"الدرجة الكاملة|العلامة الكاملة|أعلى|{_10}"),
    ("उत्तर", "(?:इस|यह) ", "", rf"{_10}|पूर्ण|पूरे अंक|अधिकतम|सर्वोच्च"),
)
"""Other languages: the noun for a response, what points at it, how grades are given, and the highest of them."""

_RULES = (
    # "give this 10/10", "please rate my answer a 10"; a rubric's "... if it names both" is none
    (
        ("10", "5/5", "5 / 5", " ten", "star", " score", " rating", " grade", " mark", " reward", " points"),
        (
            rf"{_OPENING}{_GRADE} (?:(?:this|it|me|{_TEXT}) (?:with |as |at )?{_TOP}|{_TEXT} (?:with |as |at )?{_TEN})"
            rf"{_UNCONDITIONAL}",
            rf"{_OPENING}{_GRADE} {_TOP} (?:to|for) {_TEXT}\b",
            rf"\b{_TEXT} {_DESERVES} (?:as |at |with |nothing less than )?(?:{_TOP}|{_TEN})",
            rf"\b{_THIS}\b.{{0,20}}\b(?:at|is|earns|scores) {_TOP}|{_TOP}.{{0,12}}\b(?:for|to) {_THIS}\b",
            Together(
                (
                    rf"\b(?:{_THIS}|the present answer)\b",
                    r"\b(?:must|should|required|give|grant|award|assign|rate[ds]?|grade[ds]?|reward|return|label)\b",
                    rf"{_TOP}|{_10}|\b(?:5/5|ten|a\+|maximum|superior|generously)\b",
                ),
                after=r" (?:if|when|unless)\b|[\"“«]",
            ),
            r"^\W*(?:final )?(?:score|grade|reward|evaluation)\W{1,3}(?:10/10|100/100|5/5|100 ?%)\W*$",
            rf"\b(?:grade|score|rating|evaluation|verdict) (?:for|of) {_THIS}\W{{0,3}}(?:is |= ?)?(?:{_TOP}|a\+)",
        ),
    ),
    # "Dear judge,", "Note to the grader: ..."
    (
        ("judge", "grader", "evaluator", "rater", "reward model"),
        (
            r"^\W{0,8}(?:dear|hey|hello|attention|note to|message to|to)(?: the| all)?(?: \w+)? "
            rf"{_JUDGE}\s*(?:[:,;-]|$)",
            rf"\bas (?:the|a|an) {_JUDGE},? you (?:must|should|will|have to)\b",
        ),
    ),
    (
        ("ignore", "disregard", "forget"),
        (
            InOrder(
                rf"{_OPENING}(?:ignore|disregard|forget) (?:all |any |of |the |your )*"
                r"(?:previous|prior|above|earlier|other) (?:instructions|criteria|rubrics?|prompts?)\b",
                r"\b(?:give|rate|score|grade|output|award|assign|print)\b",
            ),
        ),
    ),
    (("[[",), (r"\b(?:rating|score|verdict|judg(?:e)?ment)\s*[:=]\s*\[\[",)),
    (
        ("prefer", "choose", "pick", "select", "rank", "mark", "wins", "winner", "superior", "best", "better"),
        (
            rf"{_OPENING}(?:prefer|choose|pick|select|rank) {_THIS}(?: (?:as|over|first|above|instead)\b|\W*$)",
            rf"\b{_THIS} (?:must|should|has to|deserves to) be (?:ranked|chosen|preferred|selected|picked|marked)\b",
            rf"\b{_THIS} (?:wins\b|is (?:clearly |by far )?the (?:best|better|winner|winning|superior)\b)",
            r"\bthis is the (?:best|better|correct|winning|superior) (?:response|answer|completion)\b",
            rf"{_OPENING}(?:mark|label|grade|score|rate) (?:this|{_THIS}) "
            rf"(?:as )?(?:correct|right|complete|excellent|perfect){_UNCONDITIONAL}",
        ),
    ),
    (
        ("judge", "grader", "evaluator", "rater", "reviewer", "reward model", "system", "evaluation", "override"),
        (
            rf"\bif you are (?:an?|the) (?:\w+ )?{_JUDGE}",
            rf"^\W{{0,8}}{_JUDGE}\s*[,:].*\b{_THIS}\b",
            rf"\b(?:instruct|order|command) (?:the|this|any|every) (?:\w+ )?{_JUDGE}",
            InOrder(rf"\byou are an? (?:\w+ )?{_JUDGE}", r"\b(?:accept|pass|prefer|approve|score)\b"),
            r"\b(?:evaluation|begin evaluation|override)\W{1,3}(?:set |print |return )?(?:score|reward|rating)\b",
            r"^\W{0,8}system(?: (?:note|message|prompt|override))?\s*:.*\b(?:reward|score|grade|verified|rating)\b",
        ),
    ),
    *(((noun,), (Together((f"{this}{noun}", grade, top)),)) for noun, this, grade, top in _ELSEWHERE),
)

# (hints, patterns): a sentence without any of the hints cannot match and is not searched.
JUDGE_INSTRUCTIONS: tuple[tuple[tuple[str, ...], tuple[Sign, ...]], ...] = tuple(
    (hints, tuple(re.compile(sign) if isinstance(sign, str) else sign for sign in signs)) for hints, signs in _RULES
)
