"""All records of a Kinto collection, by Kinto's own client: how many there are, and the seconds that it took.

kinto_pages.py URL ACCOUNT PASSWORD BUCKET COLLECTION LIMIT
"""

import json
import sys
import time

import kinto_http

url, account, password, bucket, collection, limit = sys.argv[1:]
began = time.perf_counter()
client = kinto_http.Client(server_url=url, auth=(account, password), bucket=bucket, collection=collection)
records = client.get_records(_limit=int(limit), pages=float("inf"))
print(json.dumps({"records": len(records), "seconds": time.perf_counter() - began}))
