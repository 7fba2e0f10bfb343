// One workload, at #workload/<name>: why it is so, what it takes, its containers, logs and orders.

const kLinesKept = 2000;
const detail = {name: '', seen: '', asked: 0, log: null, lines: new Set(), newest: ''};

// A plot with its scale: the highest value, and how far it goes back.
function makeFigure(title) {
  const value = el('span', {class: 'value'}), top = el('span', {class: 'scale muted small'}), begin = el('span');
  const picture = plot(80, title);
  const node = el('figure', {}, el('figcaption', {}, el('span', {class: 'label', text: title}), value), el('div', {class: 'frame'}, picture, top),
    el('p', {class: 'axis muted small'}, begin, el('span', {text: 'now'})));
  node.draw = (history, most, text, label) => {
    put(value, text);
    put(top, label);
    put(begin, `${span(plotted(measured.now))} ago`);
    picture.draw(history, measured.now, most, `${title} of ${detail.name}: ${text}`);
  };
  $('d-plots').append(node);
  return node;
}

const figures = {cpu: makeFigure('CPU'), memory: makeFigure('Memory')};
$('d-state').append(icon('busy'), el('span'));

const kOrders = {
  restart: {word: 'Restart', done: 'restarts', text: 'Its containers are stopped as at any end, with their grace period, and then made anew.'},
  stop: {word: 'Stop', done: 'stops', text: 'It stays stopped until it is started or restarted, through restarts of the device and through new documents.'},
  start: {word: 'Start', done: 'starts', text: 'It runs again as its document says.'},
};
for (const [what, {word}] of Object.entries(kOrders)) {
  $('d-actions').append(el('button', {type: 'button', class: what === 'stop' ? 'button danger' : 'button', id: `d-${what}`, text: word, click: () => ask(what)}));
}

async function ask(what) {
  const {name} = detail;
  const {word, done, text} = kOrders[what];
  put($('c-title'), `${word} ${name}?`);
  put($('c-text'), text);
  put($('c-yes'), word);
  $('c-yes').classList.toggle('danger', what === 'stop');
  if (!await answered()) return;
  const buttons = $('d-actions').querySelectorAll('button');
  for (const button of buttons) button.disabled = true;
  try {
    await order(name, what);
    toast(`${name} ${done}`);
    soon();
  } catch (error) {
    toast(`${name}: ${error instanceof Refused ? error.message : 'the agent does not answer'}`, true);
  } finally {
    for (const button of buttons) button.disabled = false;
  }
}

// What the question was answered with: Escape is no.
function answered() {
  return new Promise((resolve) => {
    let yes = false;
    $('c-yes').onclick = () => { yes = true; $('confirm').close(); };
    $('c-no').onclick = () => $('confirm').close();
    $('confirm').addEventListener('close', () => resolve(yes), {once: true});
    $('confirm').showModal();
    $('c-no').focus();
  });
}

function makeContainer({name}) {
  const state = el('span', {class: 'state'}, icon('busy'), el('span'));
  const image = el('span', {class: 'mono break small'});
  const more = el('span', {class: 'muted small break'});
  const node = el('li', {}, el('div', {class: 'pair'}, el('b', {text: name}), state), image, more);
  node.update = (each) => {
    const sign = each.state === 'running' ? (each.ready ? 'ok' : 'warn') : each.state === 'exited' ? (each.exitCode === 0 ? 'done' : 'bad') : 'busy';
    attr(state, 'data-sign', sign);
    setIcon(state, sign);
    put(state.lastElementChild, `${each.role ? `${each.role}, ` : ''}${each.state}${each.state === 'running' && !each.ready ? ', not ready' : ''}`);
    put(image, shortImage(each.image));
    attr(image, 'title', each.digest || null);
    put(more, [plural(each.restarts, 'restart'), each.exitCode !== null && `exit code ${each.exitCode}`, whyLine({reason: each.reason, message: each.message || ''}),
      each.startedAt && `started ${ago(each.startedAt)} ago`, each.finishedAt && `ended ${ago(each.finishedAt)} ago`].filter(Boolean).join(' · '));
  };
  return node;
}

function showContainers(containers) {
  sync($('d-containers'), containers, (each) => each.name, makeContainer);
  sync($('l-container'), [{name: ''}, ...containers], (each) => each.name, ({name}) => el('option', {value: name, text: name || 'All containers'}));
  $('l-container').hidden = containers.length < 2;
}

// Why, with what has been true since when; and what happens next.
function showWhy(why) {
  const next = Date.parse(why.nextAttempt || '');
  const items = [{about: '', reason: why.reason, message: why.message, since: why.since}, ...why.because];
  if (!why.reason && !why.message && !why.because.length) items[0] = {message: 'All is as it should be.'};
  if (!Number.isNaN(next)) items.push({about: 'Next', reason: '', message: next > clock.now() ? `it is tried or looked at again in ${span(next - clock.now(), true)}` : 'it is tried or looked at again now'});
  const lines = items.filter((item) => item.reason || item.message);
  $('d-why').replaceChildren(el('ol', {class: 'because'}, ...lines.map((item) => el('li', {},
    item.about ? el('span', {class: 'label', text: item.about}) : '', item.reason ? el('b', {text: item.reason}) : '', item.reason && item.message ? ' ' : '',
    el('span', {class: 'break', text: item.message}), item.since ? el('span', {class: 'muted small', text: ` for ${ago(item.since)}`}) : ''))));
  sync($('d-events'), why.events.slice().reverse(), eventKey, makeEvent);
}

function showDetail() {
  if (!detail.name) return;
  const workload = shown.workloads.find((each) => each.name === detail.name);
  $('d-actions').hidden = !workload;
  if (workload) {
    showState($('d-state'), workload);
    put($('d-line'), [workload.owner, `${workload.source}${workload.revision ? ` revision ${workload.revision}` : ''}`, workload.ip && `IP ${workload.ip}`,
      plural(restartsOf(workload), 'restart'), `for ${ago(workload.since)}`].filter(Boolean).join(' · '));
    const {stopped} = stateOf(workload);
    $('d-stop').hidden = Boolean(stopped);
    $('d-restart').hidden = Boolean(stopped);
    $('d-start').hidden = !stopped;
    showContainers(workload.containers);
  } else {
    attr($('d-state'), 'data-sign', 'none');
    setIcon($('d-state'), 'none');
    put($('d-state').lastElementChild, 'Not on this device');
    put($('d-line'), '');
    showContainers([]);
  }
  drawDetail();
  const seen = JSON.stringify(workload && [workload.phase, workload.reason, workload.ready, workload.since]);
  const age = performance.now() - detail.asked;
  if (seen !== detail.seen || age > 5000) {
    detail.seen = seen;
    detail.asked = performance.now();
    askWhy(detail.name);
  }
}

async function askWhy(name) {
  try {
    const why = await getJson(`/v1/workloads/${encodeURIComponent(name)}/why`);
    if (detail.name === name) showWhy(why);
  } catch (error) {
    if (detail.name !== name || !(error instanceof Refused) || error.busy) return;
    $('d-why').replaceChildren(el('p', {class: 'break', text: error.message}));
  }
}

function drawDetail() {
  const {name} = detail;
  if (!name) return;
  const use = measured.cpu.get(name) || new History(), held = measured.memory.get(name) || new History();
  const limit = measured.limit.get(name);
  const most = Math.max(0.1, roundUp(use.most)), mostHeld = limit || roundUp(held.most, true);
  figures.cpu.draw(use, most, Number.isFinite(use.latest) ? `${cores(use.latest)} cores` : '–', use.most > 0 ? cores(most) : '');
  figures.memory.draw(held, mostHeld, bytes(held.latest), limit ? `limit ${bytes(limit)}` : held.most > 0 ? bytes(mostHeld) : '');
}

// Each line comes with its time, by which the stream goes on where it broke off.
function logPath() {
  const query = new URLSearchParams({timestamps: 'true', follow: String($('l-follow').checked)});
  if (detail.newest) query.set('since', detail.newest);
  else query.set('tail', '500');
  if ($('l-container').value) query.set('container', $('l-container').value);
  return `/v1/workloads/${encodeURIComponent(detail.name)}/logs?${query}`;
}

// Colours and the like, and what turns text round.
const kEscapes = /\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g;

function addLines(lines) {
  const log = $('d-logs');
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const added = [];
  for (const line of lines) {
    if (!line || detail.lines.has(line)) continue;
    detail.lines.add(line);
    const cut = line.indexOf(' ');
    const time = line.slice(0, cut);
    if (time > detail.newest) detail.newest = time;
    const text = line.slice(cut + 1).replace(kEscapes, '');
    const node = el('div', {}, el('time', {datetime: time, text: time.slice(11, 23)}), text || ' ');
    node.hidden = !text.toLowerCase().includes($('l-find').value.toLowerCase());
    added.push(node);
  }
  log.append(...added);
  while (log.childElementCount > kLinesKept) log.firstElementChild.remove();
  // What was seen is kept a little longer than what is shown, to know it again.
  for (const line of detail.lines) {
    if (detail.lines.size <= 2 * kLinesKept) break;
    detail.lines.delete(line);
  }
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function logState(word, error) {
  const following = $('l-follow').checked;
  const texts = {open: following ? 'Following.' : '', ended: following ? 'The stream ended; it is opened again.' : 'Not followed.'};
  put($('l-state'), error instanceof Refused ? error.message : texts[word]);
  if (word === 'ended' && !following) detail.log.stop();
}

function openLog(anew) {
  if (detail.log) detail.log.stop();
  if (anew) {
    $('d-logs').replaceChildren();
    detail.lines.clear();
    detail.newest = '';
  }
  detail.log = new Following(logPath, addLines, logState);
  if (!document.hidden) detail.log.start();
}

$('l-container').addEventListener('change', () => openLog(true));
$('l-follow').addEventListener('change', () => openLog(false));
$('l-times').addEventListener('change', () => $('d-logs').classList.toggle('times', $('l-times').checked));
$('l-find').addEventListener('input', () => {
  const find = $('l-find').value.toLowerCase();
  for (const node of $('d-logs').children) node.hidden = !node.lastChild.data.toLowerCase().includes(find);
});

// What somebody typed may be no escape at all.
function decoded(text) {
  try { return decodeURIComponent(text); } catch { return text; }
}

function route() {
  const found = /^#workload\/(.+)$/.exec(location.hash);
  const name = found ? decoded(found[1]) : '';
  if (name === detail.name) return;
  if (detail.log) detail.log.stop();
  Object.assign(detail, {name, seen: '', log: null});
  if (!name) {
    if ($('detail').open) $('detail').close();
    return;
  }
  put($('d-name'), name);
  $('d-why').replaceChildren();
  sync($('d-events'), [], String, null);
  $('l-find').value = '';
  showDetail();
  $('l-container').value = '';
  openLog(true);
  if (!$('detail').open) $('detail').showModal();
  $('detail').scrollTop = 0;
}

$('d-close').addEventListener('click', () => $('detail').close());
// A click beside it is one on its backdrop.
$('detail').addEventListener('click', (event) => { if (event.target === $('detail')) $('detail').close(); });
$('detail').addEventListener('close', () => {
  document.body.append($('says'), $('toasts'));
  placeBanner();
  if (!detail.name) return;
  history.pushState(null, '', location.pathname);
  route();
});
