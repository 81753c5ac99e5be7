"""A bucket that speaks S3, by moto, which proves every request after the first few as AWS does; and what boto3 finds in it.

Prints one line of JSON when it is ready. Then each line of input is the key of an object, or `list`; each is answered with a line.
"""

import hashlib
import json
import os
import sys

# The requests that make the user and the bucket are the only ones that need prove nothing.
os.environ["INITIAL_NO_AUTH_ACTION_COUNT"] = "4"

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "story-files"

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
endpoint = f"http://{host}:{port}"
anybody = {
    "endpoint_url": endpoint,
    "region_name": "us-east-1",
    "aws_access_key_id": "anybody",
    "aws_secret_access_key": "anything",
}
iam = boto3.client("iam", **anybody)
iam.create_user(UserName="gancho")
policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
iam.put_user_policy(UserName="gancho", PolicyName="files", PolicyDocument=json.dumps(policy))
key = iam.create_access_key(UserName="gancho")["AccessKey"]
boto3.client("s3", **anybody).create_bucket(Bucket=BUCKET)
s3 = boto3.client(
    "s3",
    **{**anybody, "aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]},
)
print(json.dumps({"endpoint": endpoint, "bucket": BUCKET, "key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}), flush=True)

for line in sys.stdin:
    name = line.strip()
    if name == "list":
        found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
        print(json.dumps([entry["Key"] for entry in found]), flush=True)
    else:
        body = s3.get_object(Bucket=BUCKET, Key=name)["Body"].read()
        print(json.dumps({"bytes": len(body), "sha256": hashlib.sha256(body).hexdigest()}), flush=True)
