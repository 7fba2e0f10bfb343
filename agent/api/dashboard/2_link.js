// Requests to the agent: the token, one at a time, and streams that come back.

const kTokenKey = 'wherry-token';
const kPatience = 10000;  // milliseconds for an answer

class Refused extends Error {
  constructor(status, problem, retryAfter) {
    super(problem.detail || `the agent answers ${status}`);
    this.status = status;
    this.retryAfter = retryAfter;
  }
  get busy() {
    return this.status === 429 || (this.status === 503 && this.retryAfter > 0);
  }
}

// For as long as the tab lives, and nowhere else; a browser that keeps nothing is asked again.
const kept = {
  read: () => { try { return sessionStorage.getItem(kTokenKey) || ''; } catch { return ''; } },
  write: (token) => { try { sessionStorage.setItem(kTokenKey, token); } catch { /* in memory only */ } },
};

const link = {
  token: kept.read(),
  asked: null,  // a promise while the token is asked for
  queue: Promise.resolve(),
};

// Until there is another token than the one that was refused.
function otherToken(refused) {
  if (link.token !== refused) return Promise.resolve();
  kept.write('');
  put($('t-wrong'), refused ? 'The device does not accept this token.' : '');
  if (!link.asked) {
    link.asked = new Promise((resolve) => { link.given = resolve; });
    locked();
    $('ask').showModal();
  }
  return link.asked;
}

$('t-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = $('t-token').value.trim();
  if (!/^[\x21-\x7e]{16,}$/.test(token)) {
    put($('t-wrong'), 'A token has at least 16 letters, digits or signs, and no space.');
    return;
  }
  link.token = token;
  kept.write(token);
  $('t-token').value = '';
  $('ask').close();
  link.asked = null;
  link.given();
});
// Without a token there is nothing to see.
$('ask').addEventListener('cancel', (event) => event.preventDefault());
$('forget').addEventListener('click', () => {
  kept.write('');
  location.reload();
});

// Gives the answer to `read`, within kPatience all in all; `endless`: only until it begins.
async function request(path, {signal, method, endless}, read) {
  for (;;) {
    const token = link.token;
    const limit = new AbortController();
    const leave = () => limit.abort();
    const timer = setTimeout(leave, kPatience);
    if (signal) signal.addEventListener('abort', leave);
    if (signal && signal.aborted) leave();  // while the token was asked for
    try {
      const headers = token ? {Authorization: `Bearer ${token}`} : {};
      const response = await fetch(path, {method, headers, signal: limit.signal, cache: 'no-store', redirect: 'error'});
      if (endless) clearTimeout(timer);
      setClock(response.headers.get('date'));
      if (response.ok) {
        $('forget').hidden = !token;
        return await read(response);
      }
      if (response.status !== 401) {
        const problem = await response.json().catch(() => ({}));
        throw new Refused(response.status, problem, Number(response.headers.get('retry-after')) || 0);
      }
    } finally {
      clearTimeout(timer);
      if (signal) signal.removeEventListener('abort', leave);
    }
    await otherToken(token);
  }
}

// One after another: the agent has few connections to give, and streams hold some of them.
function inTurn(path, read) {
  const answer = link.queue.then(() => request(path, {}, read));
  link.queue = answer.catch(() => {});
  return answer;
}

const getJson = (path) => inTurn(path, (response) => response.json());
const getText = (path) => inTurn(path, (response) => response.text());

// Whole lines as they come, until the stream ends or the signal fires.
function stream(path, signal, onLines) {
  return request(path, {signal, endless: true}, async (response) => {
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    let rest = '';
    for (;;) {
      const {done, value} = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, {stream: true});
      const lines = rest.split('\n');
      rest = lines.pop();
      if (lines.length) onLines(lines);
      if (done) return;
    }
  });
}

const pause = (ms, signal) => new Promise((resolve) => {
  const timer = setTimeout(resolve, ms);
  if (signal) signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, {once: true});
});

// A stream that is opened again whenever it ends, for as long as the page is looked at and the
// agent is there. `path()` says where to go on; `onState(word, error)` hears "open", "ended".
class Following {
  constructor(path, onLines, onState = () => {}) {
    Object.assign(this, {path, onLines, onState, control: null});
  }
  start() {
    if (this.control) return;
    this.control = new AbortController();
    this.run(this.control.signal);
  }
  stop() {
    if (this.control) this.control.abort();
    this.control = null;
  }
  async run(signal) {
    for (let wait = 500; !signal.aborted; wait = Math.min(wait * 2, 8000)) {
      let error = null;
      try {
        this.onState('open');
        await stream(this.path(), signal, (lines) => {
          wait = 500;
          if (!signal.aborted) this.onLines(lines);
        });
      } catch (caught) {
        error = caught;
      }
      if (signal.aborted) return;
      this.onState('ended', error);
      await pause(error instanceof Refused && error.retryAfter ? error.retryAfter * 1000 : wait, signal);
    }
  }
}

const order = (name, what) =>
  request(`/v1/workloads/${encodeURIComponent(name)}/${what}`, {method: 'POST'}, () => {});
