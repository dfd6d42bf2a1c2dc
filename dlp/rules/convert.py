#!/usr/bin/env python3
"""Convert the rule configuration of gitleaks into rules.json.

Usage: convert.py path/to/gitleaks.toml > rules.json

The input is config/gitleaks.toml of module github.com/zricethezav/gitleaks/v8 at
v8.30.0. Only data is taken: patterns, keywords, entropy floors, allow lists. What
has no meaning for a byte stream (file paths) and what would need unbounded
matching (multi-line curl and YAML rules) is left out; what is changed is listed
below, with the reason beside it.
"""
import json
import sys
import tomllib

GLUE = r"""(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"""
GLUE2 = r"""(?:[ \t\w.-]{0,20})[\s'"]{0,3})(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"""
END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""

# Judged by the name of a file, or only matched across lines without a bound.
DROP = {"pkcs12-file", "curl-auth-header", "curl-auth-user", "kubernetes-secret-yaml", "private-key"}

# Shapes that ordinary traffic has too: a bare hash beside a word, a fragment of
# base64, a session token that its owner is meant to send.
GENERIC = {
    "artifactory-reference-token", "aws-amazon-bedrock-api-key-short-lived",
    "clickhouse-cloud-api-secret-key", "facebook-access-token",
    "freemius-secret-key", "gitlab-session-cookie", "jwt", "jwt-base64",
    "nuget-config-password", "sidekiq-sensitive-url", "sourcegraph-access-token",
    "square-access-token", "twilio-api-key",
    # Public by design: they are compiled into web pages and samples.
    "flutterwave-public-key", "flutterwave-encryption-key", "gcp-api-key",
    "stripe-access-token-test", "lob-pub-api-key",
}

# Narrower than the original, for streams instead of files.
REGEX = {
    # Without the branch "s." + 24 letters, which any property access matches.
    "vault-service-token": r"\b(hvs\.[\w-]{90,120})" + END,
    # Live keys; keys of the test mode are in every tutorial.
    "stripe-access-token": r"\b((?:sk|rk)_(?:live|prod)_[a-zA-Z0-9]{10,99})" + END,
}
KEYWORDS = {
    "vault-service-token": ["hvs."],
    "stripe-access-token": ["sk_live_", "sk_prod_", "rk_live_", "rk_prod_"],
    "intra42-client-secret": ["s-s4t2ud-", "s-s4t2af-"],
    "cloudflare-origin-ca-key": ["v1.0-"],
    "airtable-personnal-access-token": ["pat"],
    "flyio-access-token": ["fo1_", "fm1r_", "fm1a_", "fm2_"],
    "jwt": ["eyj"],
    "aws-access-token": ["a3t", "akia", "asia", "abia", "acca"],
    "twitter-bearer-token": ["twitter"],
}

# Own rules, in the same form.
OWN = [
    # The header and enough of the key to be one; RFC 7468, RFC 9580 section 6.2.
    {"id": "private-key", "class": "high", "kw": ["private key-----", "private key block-----"],
     "re": r"-----BEGIN[ A-Z0-9_-]{0,100}PRIVATE KEY(?: BLOCK)?-----[\s\\nr:A-Za-z0-9+/=,.-]{0,300}?[A-Za-z0-9+/]{60}"},
    {"id": "anthropic-oauth-token", "class": "high", "kw": ["sk-ant-"],
     "re": r"\b(sk-ant-(?:oat|ort|sid)\d\d-[a-zA-Z0-9_\-]{80,120})"},
    {"id": "stripe-access-token-test", "class": "generic", "entropy": 2,
     "kw": ["sk_test_", "rk_test_"], "re": r"\b((?:sk|rk)_test_[a-zA-Z0-9]{10,99}){{end}}"},
]


def strip(regex):
    for lead in (r"[\w.-]{0,50}?(?i:[\w.-]{0,50}?",):
        if regex.startswith(lead):
            regex = "(?i:" + regex[len(lead):]
    if regex.startswith(r"(?i)[\w.-]{0,50}?"):
        regex = "(?i)" + regex[len(r"(?i)[\w.-]{0,50}?"):]
    return regex


def convert(rule):
    rid = rule["id"]
    if rid in DROP:
        return None
    regex = REGEX.get(rid, strip(rule["regex"]))
    generic = rid in GENERIC or GLUE in regex or GLUE2 in regex
    out = {"id": rid, "class": "generic" if generic else "high"}
    if "entropy" in rule:
        out["entropy"] = rule["entropy"]
    out["kw"] = KEYWORDS.get(rid, [k.lower() for k in rule["keywords"]])
    if not generic:
        # A file ends a token with a quote; a URL or a header with any delimiter.
        regex = regex.replace(END, "(?:[^0-9A-Za-z]|$)")
    out["re"] = regex.replace(GLUE, "{{is}}").replace(GLUE2, "{{is)}}").replace(END, "{{end}}")
    if "secretGroup" in rule:
        out["group"] = rule["secretGroup"]
    allow, stop = [], []
    for a in rule.get("allowlists", []):
        if "paths" in a or a.get("regexTarget") == "line":
            continue
        allow += a.get("regexes", [])
        stop += a.get("stopwords", [])
    if allow:
        out["allow"] = allow
    if stop:
        out["stop"] = stop
    return out


def main():
    with open(sys.argv[1], "rb") as f:
        config = tomllib.load(f)
    rules = sorted(filter(None, map(convert, config["rules"])), key=lambda r: r["id"])
    rules = sorted(rules + OWN, key=lambda r: r["id"])
    general = config["allowlist"]
    lines = [json.dumps(r, separators=(",", ":"), ensure_ascii=True) for r in rules]
    print('{"macros":' + json.dumps({"is": GLUE, "is)": GLUE2, "end": END}, separators=(",", ":")) + ",")
    print('"allow":' + json.dumps(general["regexes"], separators=(",", ":")) + ",")
    print('"stop":' + json.dumps(general["stopwords"], separators=(",", ":")) + ",")
    print('"rules":[\n' + ",\n".join(lines) + "\n]}")


main()
