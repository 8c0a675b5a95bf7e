"""Makes host/signing/src/testdata/aws.json: requests signed by AWS's own code, for services that want more than the usual.

  python3 -m venv v && v/bin/pip install botocore==1.44.8 opensearch-py==3.2.0 && v/bin/python make_aws.py
"""
import datetime
import json
import sys

import botocore.auth
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from importlib.metadata import version
from opensearchpy.helpers.signer import AWSV4Signer

AT = datetime.datetime(2015, 8, 30, 12, 36, 0)
KEYS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
REGION = "us-east-1"
TYPE = {"Content-Type": "application/json"}
BODY = '{"n": 1.50}'

botocore.auth.get_current_datetime = lambda *_, **__: AT


def signed(signer, service, url, headers, unsigned=False):
    request = AWSRequest(method="POST", url=url, data=BODY, headers=dict(headers))
    if unsigned:
        request.context["payload_signing_enabled"] = False
    signer(KEYS, service, REGION).add_auth(request)
    return request.headers


vectors = []


def add(origin, service, url, headers):
    headers = {name.lower(): value for name, value in headers.items()}
    assert headers["x-amz-date"] == "20150830T123600Z", headers
    vectors.append({
        "origin": origin,
        "service": service,
        "url": url,
        "body": BODY,
        "content": headers.get("x-amz-content-sha256"),
        "authorization": headers["authorization"],
    })


boto = f"botocore {version('botocore')}"
url = "https://abc.us-east-1.aoss.amazonaws.com/logs/_doc"
headers = AWSV4Signer(KEYS, REGION, "aoss").sign("POST", url, BODY, dict(TYPE))
add(f"opensearch-py {version('opensearch-py')}", "aoss", url, headers)

url = "https://hooks.s3.us-east-1.amazonaws.com/a%20b//c"
add(boto, "s3", url, signed(S3SigV4Auth, "s3", url, TYPE))
url = "https://abc.s3-object-lambda.us-east-1.amazonaws.com/a%20b"
add(boto, "s3-object-lambda", url, signed(S3SigV4Auth, "s3-object-lambda", url, TYPE))

# "VPC Lattice does not support payload signing. You must send an x-amz-content-sha256 header with
# the value set to UNSIGNED-PAYLOAD" (docs.aws.amazon.com/vpc-lattice, SIGv4 authenticated requests).
url = "https://svc-1.abc.vpc-lattice-svcs.us-east-1.on.aws/hooks"
lattice = {**TYPE, "x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
add(boto, "vpc-lattice-svcs", url, signed(SigV4Auth, "vpc-lattice-svcs", url, lattice, True))

url = "https://abc.execute-api.us-east-1.amazonaws.com/a%20b/hooks?b=2&a=1"
add(boto, "execute-api", url, signed(SigV4Auth, "execute-api", url, TYPE))

json.dump(vectors, sys.stdout, indent=2)
print()
