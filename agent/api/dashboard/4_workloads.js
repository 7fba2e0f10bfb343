// The list of workloads.

// What a workload waits for without anything being wrong (docs/troubleshooting.md).
const kWaits = /^(|DependencyNotReady|DependentStillRunning|ContainerCreating|PodInitializing|Pulling|Replacing|NoLongerWanted|StoppingSidecars|WaitingForPredecessor|WaitingForRollout|Recreating|RestartedByOperator|Completed)$/;

// Which sign a workload has, and whether it is in trouble; the word beside it is its phase.
function stateOf(workload) {
  switch (workload.phase) {
    case 'Running': return workload.ready ? {sign: 'ok', word: 'Running'} : {sign: 'warn', word: 'Not ready', trouble: true};
    case 'Succeeded': return {sign: 'done', word: 'Succeeded'};
    case 'Failed':
    case 'BackOff': return {sign: 'bad', word: workload.phase, trouble: true};
    case 'Pending':
      if (workload.reason === 'StoppedByOperator') return {sign: 'halt', word: 'Stopped', stopped: true};
      return kWaits.test(workload.reason) ? {sign: 'busy', word: 'Pending'} : {sign: 'warn', word: 'Pending', trouble: true};
    default: return {sign: 'busy', word: workload.phase};
  }
}

function showState(node, workload) {
  const {sign, word} = stateOf(workload);
  attr(node, 'data-sign', sign);
  setIcon(node, sign);
  put(node.lastElementChild, word);
}

function whyLine(workload) {
  const {reason, message} = workload;
  if (reason && message) return `${reason}: ${message}`;
  return reason || message;
}

const restartsOf = (workload) => workload.containers.reduce((all, each) => all + each.restarts, 0);

const kFirstRows = 25;  // more than a screen has; the others follow once those are painted
const shown = {workloads: [], filter: 'all', find: '', all: false};

const kFilters = [
  {id: 'all', word: 'All', has: () => true},
  {id: 'trouble', word: 'Trouble', has: (workload) => Boolean(stateOf(workload).trouble)},
  {id: 'running', word: 'Running', has: (workload) => workload.phase === 'Running'},
  {id: 'other', word: 'Other', has: (workload) => workload.phase !== 'Running' && !stateOf(workload).trouble},
];

function makeRow({name}) {
  const title = el('a', {class: 'name', href: `#workload/${encodeURIComponent(name)}`, text: name, title: name});
  const owner = el('span', {class: 'muted small owner'});
  const state = el('span', {class: 'state'}, icon('busy'), el('span'));
  const text = el('span', {class: 'line'});
  const bar = el('progress', {max: 100, hidden: true, 'aria-label': `Pull of the images of ${name}`});
  const restarts = el('span');
  const cpu = plot(24, `CPU of ${name}: it takes none`), memory = plot(24, `Memory of ${name}: it takes none`);
  const cpuText = el('span', {class: 'value'}), memoryText = el('span', {class: 'value'});
  const since = el('time');
  const cell = (kind, label, ...children) => el('div', {role: 'cell', class: kind, 'data-label': label}, ...children);
  const node = el('div', {role: 'row', class: 'row'},
    cell('c-name', '', title, owner), cell('c-state', '', state), cell('c-why', '', text, bar),
    cell('c-restarts num', 'Restarts', restarts), cell('c-plot', 'CPU', cpu, cpuText),
    cell('c-plot', 'Memory', memory, memoryText), cell('c-since num', 'For', since));
  node.update = (workload) => {
    showState(state, workload);
    attr(node, 'data-sign', state.dataset.sign);
    put(owner, workload.owner || '');
    put(text, whyLine(workload));
    attr(text, 'title', text.textContent || null);
    const known = (workload.pulls || []).filter((pull) => pull.totalBytes);
    bar.hidden = workload.phase !== 'Pulling' || !known.length;
    if (!bar.hidden) bar.value = 100 * known.reduce((all, pull) => all + pull.doneBytes, 0) / known.reduce((all, pull) => all + pull.totalBytes, 0);
    put(restarts, String(restartsOf(workload)));
    restarts.classList.toggle('some', restartsOf(workload) > 0);
    put(since, ago(workload.since));
    attr(since, 'datetime', workload.since || '');
    attr(since, 'title', local(workload.since));
  };
  node.measured = (scale) => {
    const use = measured.cpu.get(name), held = measured.memory.get(name);
    put(cpuText, use ? cores(use.latest) : '–');
    put(memoryText, held ? bytes(held.latest) : '–');
    if (use) cpu.draw(use, measured.now, scale, `CPU of ${name}: ${cores(use.latest)} cores`);
    if (held) memory.draw(held, measured.now, measured.limit.get(name) || roundUp(held.most, true), `Memory of ${name}: ${bytes(held.latest)}`);
  };
  return node;
}

function makeChip({filter}) {
  const count = el('span');
  const chip = el('button', {type: 'button', class: 'chip', click: () => { shown.filter = filter.id; showWorkloads(); drawRows(); }}, `${filter.word} `, count);
  chip.update = ({number}) => {
    put(count, String(number));
    press(chip, shown.filter === filter.id);
    chip.classList.toggle('alarm', filter.id === 'trouble' && number > 0);
  };
  return chip;
}

function showWorkloads() {
  const find = shown.find.toLowerCase();
  const found = shown.workloads.filter((workload) => !find || `${workload.name} ${workload.owner || ''} ${workload.reason}`.toLowerCase().includes(find));
  const counts = kFilters.map((filter) => ({filter, number: found.filter(filter.has).length}));
  sync($('chips'), counts, ({filter}) => filter.id, makeChip);
  const list = found.filter(kFilters.find((filter) => filter.id === shown.filter).has);
  sync($('rows'), shown.all ? list : list.slice(0, kFirstRows), (workload) => workload.name, makeRow);
  $('workloads').hidden = !list.length;
  $('no-workloads').hidden = Boolean(list.length);
  put($('no-workloads'), shown.workloads.length ? 'No workload is like that.' : 'No workload yet. A document over MQTT, or a file in the manifests folder, brings the first.');
}

function drawRows() {
  // One scale for all, so that what is busy stands out.
  const most = Math.max(0, ...Array.from(measured.cpu.values(), (history) => history.most));
  const scale = Math.max(0.1, roundUp(most));
  for (const row of $('rows').children) row.measured(scale);
}

// Tells what became of workloads; not what was so when the page was opened.
function sayChanges(before, now) {
  if (!before.length) return;
  const old = new Map(before.map((workload) => [workload.name, stateOf(workload).word]));
  const changes = [];
  for (const workload of now) {
    const word = stateOf(workload).word;
    if (old.get(workload.name) !== word) changes.push(`${workload.name}: ${word}${workload.reason ? `, ${workload.reason}` : ''}`);
    old.delete(workload.name);
  }
  for (const name of old.keys()) changes.push(`${name}: removed`);
  if (changes.length) say(changes.length > 4 ? `${changes.length} workloads changed` : changes.join('; '));
}

$('find').addEventListener('input', () => {
  shown.find = $('find').value.trim();
  showWorkloads();
  drawRows();
});
document.addEventListener('keydown', (event) => {
  const typing = /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName);
  if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || document.querySelector('dialog[open]')) return;
  event.preventDefault();
  $('find').focus();
});
