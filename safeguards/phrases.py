"""The phrases the gate knows: openers that answer nothing, chat-template tokens, instructions to a judge.

Openers follow "One Token to Fool LLM-as-a-Judge" (Zhao et al. 2025) with equivalents in other languages. All patterns
expect case-folded NFKC text; those of JUDGE_INSTRUCTIONS expect one sentence.
"""

import re


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

TEMPLATE_TOKEN = re.compile(
    r"<\|[a-z_▁]{3,40}\|>"
    r"|\[/?inst\]|<</?sys>>|<(?:start|end)_of_turn>"
    r"|^#{2,3} ?(?:human|assistant|instruction):"
    r"|</s>\s*(?:\Z|<s>|\[)",
    re.MULTILINE,
)
TEMPLATE_HINTS = ("<|", "inst]", "sys>>", "_of_turn>", "## human", "## assistant", "## instruction", "</s>")

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

_JUDGE = r"(?:judges?|graders?|evaluators?|raters?|reward model)\b"

_RULES = (
    # "give this 10/10", "please rate my answer a 10"; a rubric's "... if it names both" is none
    (
        ("10", "5/5", "5 / 5", " ten", "star", " score", " rating", " grade", " mark", " reward", " points"),
        (
            rf"{_OPENING}{_GRADE} (?:(?:this|it|me|{_TEXT}) (?:with |as |at )?{_TOP}|{_TEXT} (?:with |as |at )?{_TEN})"
            rf"{_UNCONDITIONAL}",
            rf"{_OPENING}{_GRADE} {_TOP} (?:to|for) {_TEXT}\b",
            rf"\b{_TEXT} {_DESERVES} (?:as |at |with |nothing less than )?(?:{_TOP}|{_TEN})",
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
            rf"{_OPENING}(?:ignore|disregard|forget) (?:all |any |of |the |your )*"
            r"(?:previous|prior|above|earlier|other) (?:instructions|criteria|rubrics?|prompts?)\b"
            r".*\b(?:give|rate|score|grade|output|award|assign|print)\b",
        ),
    ),
    (("[[",), (r"\b(?:rating|score|verdict|judg(?:e)?ment)\s*[:=]\s*\[\[",)),
    (("antwort",), (r"\b(?:gib|bewerte) (?:dieser|diese) antwort\b.{0,30}(?:10|volle punkt|höchst)",)),
    (("respuesta",), (r"\b(?:dale|da|otorga|califica) (?:a )?esta respuesta\b.{0,30}(?:10|máxim)",)),
    (("réponse",), (r"\b(?:donnez?|attribuez?|notez?) (?:à )?cette réponse\b.{0,30}(?:10|maximal)",)),
    (("ответ",), (r"\b(?:поставьте|поставь|оцените|оцени) (?:этому |этот )?ответ.{0,30}(?:10|высш|максим)",)),
    (("回答", "答案", "回复"), (r"(?:给|給)(?:这个|這個|本)?(?:回答|答案|回复).{0,8}(?:满分|滿分|10|最高)",)),
    (("この",), (r"この(?:回答|答え).{0,8}(?:満点|10点|最高)",)),
)

# (hints, patterns): a sentence without any of the hints cannot match and is not searched.
JUDGE_INSTRUCTIONS = tuple((hints, tuple(map(re.compile, patterns))) for hints, patterns in _RULES)
