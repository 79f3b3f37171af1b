"""Asks CGraniteHooks about objects as its hooks do, from a hook in Python: what is known of an object that is being released."""
import ctypes
import gc
import json
import os
import sys
import threading

library = ctypes.PyDLL(os.environ['GRANITE_TEST_PRELOAD'])


class Details(ctypes.Structure):
    _fields_ = [('text', ctypes.c_char * 4096), ('length', ctypes.c_size_t)]


class Owner(ctypes.Structure):
    _fields_ = [('tid', ctypes.c_uint32), ('name', ctypes.c_char * 16), ('created', ctypes.c_uint64),
                ('frames', ctypes.c_uint64 * 16), ('frame_count', ctypes.c_uint32), ('known', ctypes.c_bool)]


library.granite_describe_object.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_bool, ctypes.c_char_p,
                                            ctypes.POINTER(Details), ctypes.POINTER(Owner)]
library.granite_describe_object.restype = None
library.granite_origin_known.argtypes = [ctypes.c_void_p]
library.granite_origin_known.restype = ctypes.c_bool
library.granite_watch_named_types.restype = None
watch_named_types = library.granite_watch_named_types

answers = []   # of the first release whose maker is not known, and of the first whose is
releases = 0   # on another thread
NOTHING = ctypes.py_object()


def ask(type_name, unsendable=True, target=NOTHING):
    details, owner = Details(), Owner()
    library.granite_describe_object(target, None, unsendable, type_name.encode(), ctypes.byref(details),
                                    ctypes.byref(owner))
    return {'details': details.text.decode(), 'owner': owner.tid, 'owner_name': owner.name.decode(),
            'created': owner.created, 'known': owner.known}


def hook(arguments):
    global releases
    text = str(arguments.exc_value)
    if 'unsendable' not in text:
        return sys.__unraisablehook__(arguments)
    releases += 1
    known = library.granite_origin_known(None)
    if not any(answer['known'] == known for answer in answers):
        answers.append(ask(text.split(' ')[0]))


sys.unraisablehook = hook


def on_thread(function, *arguments):
    """Runs it on a new thread; returns that thread's id."""
    ids = []

    def run():
        ids.append(threading.get_native_id())
        function(*arguments)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return ids[0]


def finish(**more):
    print(json.dumps({'answers': answers, 'releases': releases, **more}))
