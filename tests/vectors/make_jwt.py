"""Makes jwt.json: a key set and tokens by PyPI's PyJWT.
pip install "pyjwt[crypto]==2.10.1" && python3 make_jwt.py > jwt.json
"""
import json

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

AT = 1764000000
CLAIMS = {"iss": "https://issuer.example", "aud": "hookwright", "exp": AT + 60, "nbf": AT, "sub": "s"}
keys = {
    "RS256": (rsa.generate_private_key(65537, 2048), RSAAlgorithm),
    "ES256": (ec.generate_private_key(ec.SECP256R1()), ECAlgorithm),
    "EdDSA": (ed25519.Ed25519PrivateKey.generate(), OKPAlgorithm),
}
members, tokens = [], []
for name, (key, kind) in keys.items():
    members.append({**json.loads(kind.to_jwk(key.public_key())), "kid": name, "use": "sig"})
    tokens.append({"alg": name, "token": jwt.encode(CLAIMS, key, name, headers={"kid": name})})
# By another key than the set's, under a name of the set's.
other = ec.generate_private_key(ec.SECP256R1())
stranger = jwt.encode(CLAIMS, other, "ES256", headers={"kid": "ES256"})
# The confusion of algorithms: an HMAC keyed with what everybody knows.
confused = jwt.encode(CLAIMS, members[0]["n"], "HS256", headers={"kid": "RS256"})
unsigned = jwt.encode(CLAIMS, None, "none", headers={"kid": "RS256"})
print(json.dumps({
    "origin": f"PyPI pyjwt {jwt.__version__}", "at": AT, "jwks": {"keys": members},
    "good": tokens, "bad": [stranger, confused, unsigned],
}, indent=2))
