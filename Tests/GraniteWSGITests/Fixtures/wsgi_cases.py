"""Applications that GraniteWSGITests call through WSGIProbe, one a path."""
import gc, io, json, os, sys, tempfile, threading, weakref

TEXT = [('Content-Type', 'text/plain')]
KEPT = {}
CLOSED = {}


def reply(start_response, value):
    start_response('200 OK', TEXT)
    return [json.dumps(value).encode()]


def attempt(function, *arguments, **keywords):
    try:
        return repr(function(*arguments, **keywords))
    except BaseException as error:
        return f'{type(error).__name__}: {error}'


class Chunks:
    def __init__(self, name, chunks, error=None):
        self.name, self.chunks, self.error = name, list(chunks), error

    def __iter__(self):
        return self

    def __next__(self):
        if self.chunks:
            return self.chunks.pop(0)
        if self.error:
            raise self.error
        raise StopIteration

    def close(self):
        CLOSED[self.name] = CLOSED.get(self.name, 0) + 1


class Node:
    pass


# wsgi.input
def read_all(environ, start_response):
    return reply(start_response, environ['wsgi.input'].read().decode('latin-1'))


def read_ways(environ, start_response):
    i = environ['wsgi.input']
    return reply(start_response, [
        i.read(0).decode(), i.read(2).decode(), i.readline().decode(), i.readline(2).decode(), i.readline(None).decode(),
        i.readline(size=3).decode(), [line.decode() for line in i.readlines(1)], next(i).decode(), i.read(size=1).decode(),
        i.read(-1).decode(), i.read(None).decode(), i.read(10).decode(), i.readline().decode(), list(i), i.readlines()])


def read_wrongly(environ, start_response):
    i = environ['wsgi.input']
    return reply(start_response, [
        attempt(i.read, 'x'), attempt(i.read, 1, 2), attempt(i.read, length=1), attempt(i.readline, size=1, hint=2),
        attempt(type(i)().read)])


def count_lines(environ, start_response):
    lines = list(environ['wsgi.input'])
    return reply(start_response, [len(lines), sum(map(len, lines)), max(map(len, lines))])


# start_response
def bad_start(environ, start_response):
    bad = json.loads(environ['wsgi.input'].read())
    start_response(bad[0], [tuple(pair) if isinstance(pair, list) else pair for pair in bad[1]])
    return [b'never']


def keywords(environ, start_response):
    start_response(status='201 Created', headers=[('X-A', 'b')], exc_info=None)
    return [b'']


def start_oddly(environ, start_response):
    tries = [attempt(start_response), attempt(start_response, '200 OK'), attempt(start_response, '200 OK', (), None),
             attempt(start_response, '200 OK', [], 'x'), attempt(start_response, b'200 OK', []), attempt(start_response, '200 OK', [], None, 1),
             attempt(start_response, '200 OK', [], reason=1), attempt(start_response, '200 OK', [['a', 'b']])]
    return reply(start_response, tries)


def error_after_head(environ, start_response):
    start_response('200 OK', TEXT)
    yield b'part'
    try:
        raise KeyError('late')
    except KeyError:
        KEPT['late'] = attempt(start_response, '500 Oops', [], sys.exc_info())
        yield KEPT['late'].encode()


def excinfo_oddly(environ, start_response):
    start_response('200 OK', TEXT)
    yield b'['
    try:
        raise KeyError('kept')
    except KeyError as error:
        oddities = [(int, 5, None), (None, None, None), (ValueError, error, None), (KeyError, error, 7), (KeyError, KeyError, None), (1, 2, 3)]
    for odd in oddities:
        yield (json.dumps(attempt(start_response, '500 Oops', [], odd)) + ',').encode()
    yield b'0]'


def no_start(environ, start_response):
    return [b'no head']


def write_then_error(environ, start_response):
    write = start_response('200 OK', TEXT)
    write(b'')
    write(b'written')
    raise ValueError('after write')


def write_wrongly(environ, start_response):
    write = start_response('200 OK', TEXT)
    return [attempt(write, 'text').encode()]


# body
def several(environ, start_response):
    start_response('200 OK', TEXT)
    return (b'a', b'', b'bc')


def nothing(environ, start_response):
    start_response('200 OK', TEXT)
    return []


def no_chunks(environ, start_response):
    start_response('200 OK', TEXT)
    return iter(())


def generator(environ, start_response):
    start_response('200 OK', TEXT)
    yield b''
    yield b'one'
    yield b''
    yield b'two'


def declared(environ, start_response):
    start_response('200 OK', TEXT + [('Content-Length', '5')])
    return Chunks('declared', [b'hello'])


def endless(environ, start_response):
    start_response('200 OK', TEXT + [('Content-Length', '5')])
    return Chunks('endless', [b'hello'] * 1000000)


class Stubborn:
    """Goes on after it has failed: close() answers again, and writes."""

    def __init__(self, start_response, error):
        self.start_response, self.error = start_response, error
        self.write = start_response('200 OK', TEXT)

    def __iter__(self):
        return self

    def __next__(self):
        if self.error:
            raise self.error
        return 'text'

    def close(self):
        try:
            raise KeyError('closing')
        except KeyError:
            KEPT['stubborn'] = [attempt(self.write, b'x'), attempt(self.start_response, '500 Again', TEXT, sys.exc_info()),
                                attempt(self.start_response, '500 Again', TEXT), attempt(self.write, b'y')]


def fails_stubbornly(environ, start_response):
    return Stubborn(start_response, RuntimeError('first') if environ['QUERY_STRING'] == 'raises' else None)


def stubborn(environ, start_response):
    return reply(start_response, KEPT['stubborn'])


def forever(environ, start_response):
    start_response('200 OK', TEXT)
    try:
        while True:
            yield b'again'
    finally:
        CLOSED['forever'] = CLOSED.get('forever', 0) + 1


def long(environ, start_response):
    start_response('200 OK', TEXT)
    return Chunks('long', [b'x' * 1000] * 1000)


def breaks(environ, start_response):
    start_response('200 OK', TEXT)
    return Chunks('breaks', [b'part'], RuntimeError('mid-stream'))


def breaks_first(environ, start_response):
    start_response('200 OK', TEXT)
    return Chunks('breaks_first', [], RuntimeError('at once'))


def closes_badly(environ, start_response):
    start_response('200 OK', TEXT)
    chunks = Chunks('x', [b'fine'])
    chunks.close = lambda: 1 / 0
    return chunks


def odd_chunk(environ, start_response):
    start_response('200 OK', TEXT)
    return {'str': ['text'], 'bytearray': [bytearray(b'x')], 'int': 7, 'none': None, 'iterated': iter([b'ok', 'text'])}[environ['QUERY_STRING']]


class Special(bytes):
    pass


def subclass(environ, start_response):
    start_response('200 OK', TEXT)
    return [Special(b'special')]


def closed(environ, start_response):
    return reply(start_response, CLOSED)


def exits(environ, start_response):
    raise {'exit': SystemExit(3), 'interrupt': KeyboardInterrupt(), 'generator': GeneratorExit()}[environ['QUERY_STRING']]


# wsgi.file_wrapper
def file(environ, start_response):
    kind = environ['QUERY_STRING']
    handle, path = tempfile.mkstemp()
    with open(handle, 'wb') as out:
        out.write(b'0123456789')
    headers = list(TEXT)
    if kind == 'buffered':
        source = open(path, 'rb')
    elif kind == 'raw':
        source = open(path, 'rb', buffering=0)
    elif kind == 'offset':
        source = open(path, 'rb')
        source.read(4)
    elif kind == 'length':
        source = open(path, 'rb')
        headers.append(('Content-Length', '3'))
    elif kind == 'memory':
        source = io.BytesIO(b'0123456789')
    elif kind == 'gzip':
        import gzip
        with gzip.open(path, 'wb') as out:
            out.write(b'0123456789')
        source = gzip.open(path)
    elif kind == 'text':
        source = open(path)
    elif kind == 'empty':
        source = open(os.devnull, 'rb')
    os.unlink(path)
    KEPT['file'] = source
    start_response('200 OK', headers)
    return environ['wsgi.file_wrapper'](source, 4)


def file_closed(environ, start_response):
    return reply(start_response, KEPT['file'].closed)


def file_wrapper_directly(environ, start_response):
    wrapper = environ['wsgi.file_wrapper']
    source = io.BytesIO(b'abcdef')
    looped = wrapper(source)
    source.loop = looped  # a cycle that only the collector can free
    witness = weakref.ref(source)
    parts = [p.decode() for p in wrapper(io.BytesIO(b'abcdef'), 4)]
    del source, looped
    gc.collect()
    return reply(start_response, [parts, witness() is None, attempt(wrapper), attempt(wrapper, 1, 2, 3), attempt(wrapper, None, block_size=1), next(wrapper(io.BytesIO(b'k'), **{})).decode()])


# Objects that outlive their request
def keep(environ, start_response):
    KEPT['input'], KEPT['start'], KEPT['environ'] = environ['wsgi.input'], start_response, environ
    KEPT['write'] = start_response('200 OK', TEXT)
    return [b'kept']


def use_kept(environ, start_response):
    answers = [attempt(KEPT['input'].read), attempt(KEPT['input'].readline), attempt(list, KEPT['input']),
               attempt(KEPT['start'], '200 OK', []), attempt(KEPT['write'], b'x'), environ['wsgi.input'] is KEPT['input']]
    thread = threading.Thread(target=KEPT.clear)
    thread.start()
    thread.join()
    return reply(start_response, answers)


def other_thread(environ, start_response):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(attempt(start_response, '200 OK', [])))
    thread.start()
    thread.join()
    return reply(start_response, answers)


# Threads
LOCAL = threading.local()


def thread_local(environ, start_response):
    LOCAL.count = getattr(LOCAL, 'count', 0) + 1
    return reply(start_response, [LOCAL.count, threading.current_thread() is threading.main_thread()])


def caught(environ, start_response):
    """The seed's pattern: a caught exception kept in a local makes a cycle with its frame."""
    error = None
    try:
        raise ValueError('kept')
    except ValueError as caught:
        error = caught
    start_response('200 OK', TEXT)
    return [str(error).encode()]


def frames(environ, start_response):
    names, frame = [], sys._getframe()
    while frame:
        names.append(frame.f_code.co_name)
        frame = frame.f_back
    return reply(start_response, names)


def where(environ, start_response):
    return reply(start_response, {
        'prefix': sys.prefix, 'executable': sys.executable, 'version': sys.version.split()[0], 'argv': sys.argv, 'first': sys.path[0],
        'site': [p for p in sys.path if p.endswith('site-packages')], 'utf8': sys.flags.utf8_mode})


def environment(environ, start_response):
    return reply(start_response, {k: v if isinstance(v, (str, bool, int)) else type(v).__name__ for k, v in environ.items()})


def live_objects(environ, start_response):
    gc.collect()
    return reply(start_response, len(gc.get_objects()))


def app(environ, start_response):
    name = environ['PATH_INFO'][1:]
    if name in globals():
        return globals()[name](environ, start_response)
    return environment(environ, start_response)
