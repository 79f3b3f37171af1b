"""A small shop, as one would meet it in production. Nothing in it is wrong by itself.

`/order` asks a flaky service twice and remembers the last error. The error's traceback holds the frames that it went
through, and one of those frames holds the error: a cycle. Only Python's collector of cycles frees it, later, on
whichever thread happens to allocate then. Under Granian 2.0.1 the frames of the cycle reach the server's own object,
which may be dropped on one thread only.
"""

from flask import Flask, jsonify

app = Flask(__name__)


def ask_stock(article):
    raise TimeoutError(f"the stock service did not answer for {article}")


def reserve(article):
    last_error = None
    for _ in range(2):
        try:
            return ask_stock(article)
        except TimeoutError as error:
            last_error = error
    return {"article": article, "reserved": False, "why": str(last_error)}


@app.get("/")
def home():
    return "the shop is open\n"


@app.get("/order")
def order():
    return jsonify(reserve("tea"))
