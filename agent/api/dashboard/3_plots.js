// What was measured since the page was opened, and its drawing.

const kWindow = 300000;       // milliseconds that a plot shows; fewer at first
const kShortWindow = 60000;

// Values with their times. A gap (the agent was away) is a value that is no number.
class History {
  constructor() {
    this.points = [];
  }
  add(time, value) {
    const last = this.points[this.points.length - 1];
    if (last && time - last.time > 30000) this.points.push({time: last.time + 1, value: NaN});
    this.points.push({time, value});
    while (this.points.length && time - this.points[0].time > kWindow + 10000) this.points.shift();
  }
  get latest() {
    return this.points.length ? this.points[this.points.length - 1].value : NaN;
  }
  get most() {
    return this.points.reduce((most, point) => (point.value > most ? point.value : most), 0);
  }
}

// A counter of seconds or bytes, as what it grows by in a second.
class Rate {
  constructor() {
    this.before = null;
  }
  next(time, value) {
    const before = this.before;
    this.before = {time, value};
    if (!before || time <= before.time || value < before.value) return NaN;
    return (value - before.value) / ((time - before.time) / 1000);
  }
}

// The highest value of the scale: a round number, so that it does not shiver.
function roundUp(value, binary) {
  if (!(value > 0)) return 1;
  const base = binary ? 2 : 10;
  const step = base ** Math.floor(Math.log(value) / Math.log(base));
  const steps = binary ? [1, 1.25, 1.5, 1.75, 2] : [1, 1.5, 2, 3, 5, 7.5, 10];
  return step * steps.find((each) => step * each >= value * 0.999);
}

const plotted = (now) => Math.min(kWindow, Math.max(kShortWindow, now - measured.begun));

// An element with draw(history, now, top): the line, and the area below it.
function plot(height, label) {
  const width = 300;
  const area = svg('path', {class: 'area'});
  const line = svg('path', {class: 'curve'});
  const node = svg('svg', {class: 'plot', viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: 'none', role: 'img', 'aria-label': label}, area, line);
  node.draw = (history, now, top, text) => {
    const shown = plotted(now);
    let curve = '', below = '', open = '', right = 0;
    const close = () => {
      if (open) below += `${open}L${right} ${height}Z`;
      open = '';
    };
    for (const {time, value} of history.points) {
      if (!Number.isFinite(value)) {
        close();
        continue;
      }
      if (now - time > shown) continue;
      const x = (width * (1 - (now - time) / shown)).toFixed(1);
      const y = (height - 1 - (height - 2) * Math.min(1, value / top)).toFixed(1);
      curve += `${open ? 'L' : 'M'}${x} ${y}`;
      open += open ? `L${x} ${y}` : `M${x} ${height}L${x} ${y}`;
      right = x;
    }
    close();
    line.setAttribute('d', curve);
    area.setAttribute('d', below);
    attr(node, 'aria-label', text);
  };
  return node;
}

// Prometheus' text as {name: [{labels, value}]}.
function readMetrics(text) {
  const families = {};
  for (const line of text.split('\n')) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const labels = {};
    for (const [, name, value] of (found[2] || '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels[name] = value.replace(/\\(.)/g, (_, sign) => (sign === 'n' ? '\n' : sign));
    }
    (families[found[1]] ||= []).push({labels, value: Number(found[3])});
  }
  return families;
}

// Sum of a family, by one of its labels: a map.
function sumBy(family, label, chosen = () => true) {
  const sums = new Map();
  for (const {labels, value} of family || []) {
    if (chosen(labels)) sums.set(labels[label], (sums.get(labels[label]) || 0) + value);
  }
  return sums;
}

const single = (family, labels = {}) => {
  const found = (family || []).find((each) => Object.entries(labels).every(([key, value]) => each.labels[key] === value));
  return found ? found.value : NaN;
};

// Everything that is plotted. Histories of what is gone go with it.
const measured = {
  begun: performance.now(),
  now: 0,
  cpu: new Map(), memory: new Map(), limit: new Map(), rates: new Map(),  // by workload
  node: {cpu: new History(), memory: new History()},
  nodeRates: {busy: new Rate(), all: new Rate(), sent: new Rate(), received: new Rate()},
};

function entry(map, key, Made) {
  if (!map.has(key)) map.set(key, new Made());
  return map.get(key);
}

function measure(metrics) {
  const now = performance.now();
  measured.now = now;
  const cpu = sumBy(metrics.wherry_container_cpu_usage_seconds_total, 'workload');
  const memory = sumBy(metrics.wherry_container_memory_working_set_bytes, 'workload');
  measured.limit = sumBy(metrics.wherry_container_memory_limit_bytes, 'workload');
  for (const [name, value] of cpu) entry(measured.cpu, name, History).add(now, entry(measured.rates, name, Rate).next(now, value));
  for (const [name, value] of memory) entry(measured.memory, name, History).add(now, value);
  for (const map of [measured.cpu, measured.memory, measured.rates]) {
    for (const name of map.keys()) if (!memory.has(name) && !cpu.has(name)) map.delete(name);
  }
  const modes = metrics.wherry_node_cpu_seconds_total || [];
  const sum = (chosen) => modes.filter(chosen).reduce((all, each) => all + each.value, 0);
  const all = measured.nodeRates.all.next(now, sum(() => true));
  const busy = measured.nodeRates.busy.next(now, sum((each) => !['idle', 'iowait'].includes(each.labels.mode)));
  measured.node.cpu.add(now, busy / all);
  const total = single(metrics.wherry_node_memory_total_bytes);
  measured.node.memory.add(now, total - single(metrics.wherry_node_memory_available_bytes));
}
