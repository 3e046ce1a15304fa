"""Answers whose Markdown would make a browser fetch an address."""

URL = "http://127.0.0.1:1/seen.png"
DIAGRAM = f'flowchart LR\n  A@{{ img: "{URL}" }} --> B["<img src={URL}>"]'
FETCHING = {
    "image": f"![a]({URL})",
    "image with a title": f'![a](<{URL}> "title")',
    "reference image": f"![a][b]\n\n[b]: {URL}",
    "collapsed reference": f"![b][]\n\n[b]: {URL}",
    "shortcut reference": f"![b]\n\n[b]: {URL}",
    "image in a link": f"[![a]({URL})](http://127.0.0.1:1/)",
    "image in a table": f"| a |\n| - |\n| ![a]({URL}) |",
    "image in a footnote": f"a[^1]\n\n[^1]: see ![a]({URL}) there",
    "image in a quote in a list": f"- > ![a]({URL})",
    "image after a backslash that is escaped": f"\\\\![a]({URL})",
    "diagram": f"```mermaid\n{DIAGRAM}\n```",
    "diagram in capitals": f"```MerMaid\n{DIAGRAM}\n```",
    "diagram with options": f"``` \tmermaid {{theme: dark}}\n{DIAGRAM}\n```",
    "diagram in tildes": f"~~~~mermaid\n{DIAGRAM}\n~~~~",
    "diagram in entities": f"```m&#101;r&#x6d;aid\n{DIAGRAM}\n```",
    "diagram by its class": f"```-language-mermaid\n{DIAGRAM}\n```",
    "diagram by its class in entities": f"```-l&#97;nguage-merm&#97;id\n{DIAGRAM}\n```",
    "diagram with more to its name": f"```mermaid-x\n{DIAGRAM}\n```",
    "diagram in a quote in a list": f"1. > ```mermaid\n   > {DIAGRAM.splitlines()[0]}\n   > ```",
    "diagram left open": f"```mermaid\n{DIAGRAM}",
    "diagram after a carriage return": f"text\r```mermaid\r{DIAGRAM}\r```",
}
