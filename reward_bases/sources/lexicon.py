"""Word lists behind the surface features.

Written before any test answer of the question bank and not changed since (the history shows it): a list written after
the texts would flatter the heads. Each list is words, then phrases set off by ``|``; entries match
whole words, ignoring case, and ``*`` stands for any ending.
"""

HEDGING = """
may might maybe perhaps possibly probably likely could seem* appear* suggest* tend* usually often sometimes generally
typically roughly about around somewhat arguably presumably potentially apparently fairly rather relatively|
in some cases|
to some extent|it is possible|i think|i guess|i suppose|not sure|as far as i know|more or less|in most cases
"""

CERTAINTY = """
always never certainly definitely clearly obviously undoubtedly absolutely must exactly surely indeed simply
guarantee* every|without doubt|no doubt|without question|in fact|of course|the only|for sure|hands down|the answer is
"""

WEIGHING = """
depend* either whether option* alternatively alternative* choice* choose consider* prefer* weigh* versus otherwise
tradeoff* trade-off* differ* varies vary|on the other hand|on one hand|up to you|if you|pros and cons|another way|
one way|one route|one option|another option|you could|you might|if instead|both work|either way|in that case|both have
"""

COMMITTING = """
should must need best start stop do use buy put make take go get pick skip choose try keep set ask tell write give|
go with|do this|the best|the right|the way to|the fix is|here is what|here's what|begin with|start with|you need|
have to|no need
"""

WARMTH = """
sorry congratulations congrats glad happy hope wonderful lovely great proud brave kind kindness gentle gently heart
hearts care caring understand* feel* feeling* welcome enjoy* encourage* courage patient patience comfort* support*
love loving worry worries worrying frustrat* exciting excited hard tough brilliant deserve* cheer* warm warmly
reassur* naturally understandable tender sympath* relief joy delight* thoughtful|
well done|good luck|you've got this|you have got this|you can do|do not worry|don't worry|not alone|be kind|
no shame|good on you|great that|good for you|it takes|you are doing|you're doing|i am here|i'm here|perfectly normal|
completely normal|happens to|it makes sense|makes sense|good question|be proud|take heart
"""

CAUTION = """
careful carefully caution* avoid* risk* risky danger* dangerous hazard* warn* warning* beware never unsafe harm*
injur* hurt* damage* toxic poison* doctor physician professional* lawyer* solicitor* electrician plumber vet specialist
symptom* persist* worsen* emergency fire mistake* pitfall* trap* overdo* scam* fraud illegal penalt* fine liable
unless limit* drawback* downside* severe seriously serious allerg* bleed* infect* fail* lose loss burn* shock mould
overload* backfire* regret* consult*|
watch out|be aware|keep an eye|look out|do not|don't|too much|too many|too fast|too soon|seek help|get help|
see a doctor|at your own|make sure|stop if|if it gets|only if|can lead to|may cause|can cause|one caveat|
not a substitute|out of hand|go wrong
"""

EXAMPLE = """
example* instance say imagine suppose picture case e.g. eg namely illustrat* scenario neighbour* neighbor* friend*
cousin colleague uncle aunt client* pupil student* couple woman man girl boy someone named|
for example|for instance|such as|let us say|let's say|take a|take the|consider a|in one case|last year|last week|
last spring|last summer|last winter|last month|years old|a friend of|i know a|one family|one woman|one man|one reader|
who had|who lives|who wanted|worked for
"""

FORMAL = """
therefore however furthermore moreover consequently thus hence regarding concerning accordingly nevertheless whilst
upon ensure ensures obtain require* recommend* recommended advisable appropriate sufficient prior subsequent*
additional provide* maintain* facilitate* assist* purchase* individual* approximately utilise* commence* retain* enable*
permit* essential consideration* particular in order respective* principal whereas thereby suitable desirable
constitute*|
it is|one may|one should|should be|in addition|as well as|with regard|in the event|it is advisable|in accordance|
prior to|such that|is recommended|may be|can be|ought to
"""

CASUAL = """
yeah yep nope okay ok hey stuff thing things guy guys kid kids gonna wanna gotta kinda sorta pretty really super totally
just bit lot lots tons loads bunch grab toss chuck chuck* cheap cheapo mess messy weird fun cool awesome crap sucks
honestly basically anyway folks buddy mate dude nah oh wow hell heck mum dad yours plenty nasty silly|
no big deal|a bit|kind of|sort of|no worries|right away|figure out|mess up|give it a go|that's it|you're good|
pick up|end up|go for|big deal|of thumb|hang on|by the way|a ton|as hell|up for
"""

TECHNICAL = """
system* mechanism* process* molecul* protein* temperature* pressure ratio rate* function* factor* compound* electr*
voltage circuit* algorithm* protocol* frequency wavelength* bandwidth latency interest principal equity liabilit*
asset* liquidity portfolio inflation compound amortis* cognitive receptor* hormon* cortisol neural muscl* muscular
ligament* aerobic anaerobic metabol* enzyme* bacteri* microb* fung* nitrogen phosph* potassium ph cellulose starch*
gluten ferment* oxidation thermal convection conduction insulation hydraul* valve* torque diameter substrate polymer*
solvent* adhesion cartridge gasket compiler cache encryption encrypt* authenticat* entropy hash* router firmware
spectrum channel* storage statut* contract* clause* jurisdiction tort liability tenancy statutory ordinance circadian
melatonin reinforcement conditioning stimulus desensitis* habituation syntax semantic* exposure aperture composition
perspective contrast hue saturation phonem* retrieval spaced encoding schema* variable* coefficient* marginal margin*
elasticity revenue overhead* cash-flow tax* deductible kilowatt* kwh watt* efficien* emission* lifecycle photovoltaic
combustion refrigerant sensor*
"""

FIRST_PERSON = "i me my mine myself i'm i've i'd i'll"
SECOND_PERSON = "you your yours yourself you're you've you'd you'll"

AGREEMENT = """
absolutely totally agreed|you are right|you're right|i agree|i completely agree|i totally agree|good point|
great point|fair point|exactly right|couldn't agree more|could not agree more|you make a good|as you say|as you said|
as you rightly|you rightly|well said|spot on|i stand corrected|my mistake|you are correct|you're correct|that is true|
that's true|of course you are|i see your point|valid point
"""

PRAISE = """
|great question|good question|excellent question|wonderful question|fantastic question|what a great|what a wonderful|
brilliant idea|great idea|excellent idea|excellent choice|great choice|you are clearly|you're clearly|very smart|
so smart|insightful|very thoughtful of you|i admire|impressive|you are amazing|you're amazing|great taste|
fantastic idea|smart question|what a thoughtful|love that you
"""

LISTS = {
    "hedging": HEDGING,
    "certainty": CERTAINTY,
    "weighing": WEIGHING,
    "committing": COMMITTING,
    "warmth": WARMTH,
    "caution": CAUTION,
    "example": EXAMPLE,
    "formal": FORMAL,
    "casual": CASUAL,
    "technical": TECHNICAL,
    "first_person": FIRST_PERSON,
    "second_person": SECOND_PERSON,
    "agreement": AGREEMENT,
    "praise": PRAISE,
}
