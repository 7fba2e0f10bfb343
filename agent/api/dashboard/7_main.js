// Rounds: ask, show, and come back when the agent does.

const kEvery = 2000;         // milliseconds between rounds
const kAtLeast = 400;        // … however much happens
const kShare = 20;           // … or so many times what a round takes, so that it never weighs on the device
const kImagesEvery = 15000;  // containerd is asked for those

const page = {agent: '', lost: 0, wait: kEvery, images: -Infinity, wake: null, shown: false};
const eventStream = new Following(() => `/v1/events?after=${events.anew ? 0 : events.last}&follow=true`, (lines) => {
  addEvents(lines);
  soon();  // what happened shows at once
}, (word) => { if (word === 'ended') events.anew = true; });

function showLink(state, sign, text) {
  attr($('link'), 'data-state', state);
  setIcon($('link'), sign);
  put($('link').lastElementChild, text);
}

function showStatus(status) {
  if (page.agent && page.agent !== status.device.agent) location.reload();  // another version, another page
  page.agent = status.device.agent;
  const before = shown.workloads;
  shown.workloads = status.workloads;
  const {workloads} = shown;
  const trouble = workloads.filter((workload) => stateOf(workload).trouble).length;
  const bad = status.conditions.filter((condition) => !condition.status).length;
  document.title = `${trouble || bad ? '● ' : ''}${status.device.id} · Wherry`;
  put($('device'), status.device.id);
  put($('summary'), `${plural(workloads.length, 'workload')}${trouble ? `, ${trouble} in trouble` : ''}`);
  showConditions(status.conditions);
  showWorkloads();
  showDocuments(status.desired);
  showFacts(status);
  showDetail();
  sayChanges(before, workloads);
  $('page').hidden = false;
  if (!page.shown) firstShown();
}

// The figures of docs/dashboard.md, as the browser has them.
function firstShown() {
  page.shown = true;
  requestAnimationFrame(() => setTimeout(() => {
    performance.mark('data-shown');
    shown.all = true;
    showWorkloads();
  }));
  route();
}

function showMetrics(text) {
  const metrics = readMetrics(text);
  measure(metrics);
  showGauges(metrics, {cpus: single(metrics.wherry_node_cpus)});
  showQueues(metrics);
  drawRows();
  drawDetail();
}

async function askImages() {
  page.images = performance.now();
  try {
    const answer = await getJson('/v1/images');
    showImages(answer);
    if (answer.pulls.length) page.images = -Infinity;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    if (!error.busy) showNoImages(error.message);
  }
}

async function round() {
  const begun = performance.now();
  showStatus(await getJson('/v1/status'));
  here();
  showMetrics(await getText('/metrics'));
  const pulling = shown.workloads.some((workload) => workload.phase === 'Pulling');
  if (pulling || begun - page.images > kImagesEvery) await askImages();
  return performance.now() - begun;
}

function here() {
  showLink('live', 'ok', 'Live');
  if (page.lost) say('The agent answers again');
  page.lost = 0;
  $('banner').hidden = true;
  placeBanner();
  document.body.classList.remove('stale');
  eventStream.start();
  if (detail.log && !document.hidden) wakeLog();
}

// What is shown stands still until there is a token.
function locked() {
  showLink('busy', 'busy', 'Waiting for the token');
  document.body.classList.add('stale');
}

function wakeLog() {
  if (!detail.log.control && $('l-follow').checked) detail.log.start();
}

function away(error) {
  if (error instanceof Refused && error.busy) {
    showLink('busy', 'busy', 'The agent is busy');
    return Math.max(1, error.retryAfter) * 1000;
  }
  eventStream.stop();
  events.anew = true;
  if (detail.log) detail.log.stop();
  if (!page.lost) {
    page.lost = performance.now();
    page.wait = 500;
    say('The agent does not answer');
  }
  const since = span(performance.now() - page.lost);
  const what = error instanceof Refused ? `The agent refuses: ${error.message}.` : 'The agent does not answer.';
  showLink('away', 'bad', 'Away');
  const text = `${what} ${page.shown ? `What you see is ${since} old. ` : ''}It is asked again all the time; workloads run on without it.`;
  put($('banner'), text);
  $('banner').hidden = false;
  placeBanner();
  document.body.classList.add('stale');
  page.wait = Math.min(page.wait * 1.5, 5000);
  return page.wait;
}

// Where it is seen: on top of what is open.
function placeBanner() {
  const inside = front() === $('detail');
  if (inside === $('detail').contains($('banner'))) return;
  if (inside) $('detail').prepend($('banner'));
  else document.querySelector('.top').after($('banner'));
}

// The next round comes at once, but for the least pause.
function soon() {
  page.again = true;
  if (page.wake) page.wake.abort();
}

async function run() {
  for (;;) {
    let wait = kEvery;
    page.again = false;
    try {
      const took = await round();
      wait = Math.max(kEvery, kShare * took);
    } catch (error) {
      wait = away(error);
    }
    page.wake = new AbortController();
    await pause(kAtLeast);
    if (!page.again) await pause(wait - kAtLeast, page.wake.signal);
    page.wake = null;
    while (document.hidden) await new Promise((resolve) => document.addEventListener('visibilitychange', resolve, {once: true}));
  }
}

// Styles that were refused, as by an agent that was busy, are asked for until they are there.
async function keepStyled() {
  const styled = () => getComputedStyle(document.documentElement).getPropertyValue('--ok') !== '';
  for (let node = document.querySelector('link[rel=stylesheet]'); !styled();) {
    await pause(1000);
    const next = el('link', {rel: 'stylesheet', href: '/dashboard.css'});
    const asked = new Promise((resolve) => { next.onload = next.onerror = resolve; });
    node.replaceWith(next);
    node = next;
    await asked;
  }
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) return;
  eventStream.stop();
  if (detail.log) detail.log.stop();
});
addEventListener('hashchange', () => { if (page.shown) route(); });
keepStyled();
run();
