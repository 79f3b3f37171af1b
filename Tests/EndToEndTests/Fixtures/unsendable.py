"""Objects of y-py 0.6.2, which PyO3 0.19 binds to their thread: a YDoc may be used and released on the thread that made it alone."""

import gc
import threading

import flask
import y_py

app = flask.Flask(__name__)
kept = []


def made_elsewhere():
    box = []
    thread = threading.Thread(target=lambda: box.append(y_py.YDoc()), name="maker")
    thread.start()
    thread.join()
    return box


def innocent(box):
    box.clear()


@app.get("/drop")
def drop():
    innocent(made_elsewhere())
    return "dropped\n"


@app.get("/collect")
def collect():
    gc.disable()  # so that the line below finds the cycle, and none before
    box = made_elsewhere()
    box.append(box)
    del box
    gc.collect()
    gc.enable()
    return "collected\n"


def read(document):
    return document.get_text("chapter")


@app.get("/use")
def use():
    kept.extend(made_elsewhere())
    return str(read(kept[-1]))


@app.get("/panic")
def panic():
    document = y_py.YDoc()
    with document.begin_transaction() as transaction:
        document.get_text("chapter").delete_range(transaction, 0, 7)  # beyond its end
    return "no panic\n"
