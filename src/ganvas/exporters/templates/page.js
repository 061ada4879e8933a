const at = (id) => document.getElementById(id);
const facts = JSON.parse(at("facts").textContent);
const [channels, height, width] = facts.shape;
const size = facts.latent.reduce((a, b) => a * b, 1);
const sliders = [...document.querySelectorAll("input[type=range]")];
const directions = [...document.querySelectorAll(".direction")];
const keywords = [...document.querySelectorAll(".keyword")];
const unpacked = {};
let worker, waiting = false, stale = false;

// A part of the page as bytes; its text is removed.
async function unpack(name) {
  const part = at(`part-${name}`), text = part.textContent;
  part.remove();
  const packed = Uint8Array.fromBase64?.(text) ?? Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  return new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

// z = ψ·z(seed) + Σ i·v: seed and truncation as of `ganvas sample`, strengths as of `ganvas edit`.
function latent(seed) {
  const z = unpacked.latents ? unpacked.latents.slice(seed * size, (seed + 1) * size) : normals(size, seed);
  const psi = at("truncation") ? Number(at("truncation").value) : 1;
  return z.map((value, j) => directions.reduce((sum, d, k) => sum + d.value * unpacked.directions[k * size + j], psi * value));
}

// The class's number, or a row of 0 and 1 for each keyword; without a choice the seed has its own, as in `ganvas sample`.
function label(seed) {
  if (facts.classes) return at("label").value ? Number(at("label").value) : seed % facts.classes;
  if (!keywords.length) return undefined;
  if (at("as-seed").checked) {
    const from = (seed % (unpacked.prompts.length / keywords.length)) * keywords.length;
    keywords.forEach((box, k) => (box.checked = unpacked.prompts[from + k] > 0));
  }
  for (const box of keywords) box.disabled = at("as-seed").checked;
  return Uint8Array.from(keywords, (box) => box.checked);
}

function draw() {
  if (!at("seed").validity.valid) return;
  if (waiting) return void (stale = true); // only the newest request counts
  const seed = Number(at("seed").value);
  setTimeout(() => waiting && say("Drawing …"), 400);
  [waiting, stale] = [true, false];
  worker.postMessage({ z: latent(seed), y: label(seed) });
}

function show({ items, ms }) {
  const image = new ImageData(width, height), plane = width * height;
  const byte = (c, i) => Math.max(0, Math.min(255, Math.round((items[c * plane + i] + 1) * 127.5)));
  for (let i = 0; i < plane; i++) {
    const alpha = channels > 3 ? byte(3, i) : 255; // colour is premultiplied, and a canvas takes it straight
    for (let c = 0; c < 3; c++) {
      image.data[4 * i + c] = alpha ? Math.round((Math.min(byte(channels > 1 ? c : 0, i), alpha) * 255) / alpha) : 0;
    }
    image.data[4 * i + 3] = alpha;
  }
  at("picture").getContext("2d").putImageData(image, 0, 0);
  at("picture").dataset.drawn = Number(at("picture").dataset.drawn ?? 0) + 1;
  say(`Drawn in ${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`);
}

function answer({ data }) {
  waiting = false;
  if (data.error) return fail(data.error);
  if (data.items) show(data);
  if (data.ready || stale) draw();
}

function fail(reason) {
  say(`This browser cannot draw: ${reason}`);
  at("status").className = "failed";
}

function say(what) {
  at("status").textContent = what;
}

function values() {
  for (const slider of sliders) at(`${slider.id}-value`).textContent = Number(slider.value).toFixed(2);
}

function home(moved) {
  for (const slider of moved) slider.value = slider.dataset.home;
  values();
  draw();
}

function choose(seed) {
  const count = Number(at("seed").max) + 1;
  at("seed").value = (seed + count) % count;
  draw();
}

function save() {
  at("picture").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${document.title}-seed${at("seed").value}.png`;
    link.click();
    URL.revokeObjectURL(link.href);
  });
}

async function start() {
  for (const name of ["directions", "latents"]) if (at(`part-${name}`)) unpacked[name] = new Float32Array(await unpack(name));
  if (keywords.length) unpacked.prompts = new Uint8Array(await unpack("prompts"));
  const script = await unpack("script"), wasm = await unpack("wasm"), model = await unpack("model");
  worker = new Worker(URL.createObjectURL(new Blob([at("worker").textContent], { type: "text/javascript" })));
  worker.onmessage = answer;
  worker.onerror = (event) => fail(event.message);
  waiting = true;
  worker.postMessage({ script, wasm, model, facts }, [script, wasm, model]);
  at("controls").addEventListener("input", () => (values(), draw()));
  at("controls").addEventListener("submit", (event) => event.preventDefault());
  at("previous").onclick = () => choose(Number(at("seed").value) - 1);
  at("next").onclick = () => choose(Number(at("seed").value) + 1);
  at("random").onclick = () => choose(Math.floor(Math.random() * Math.min(1e6, Number(at("seed").max) + 1)));
  at("reset").onclick = () => home(sliders);
  at("download").onclick = save;
  for (const slider of sliders) slider.ondblclick = () => home([slider]);
}

start().catch(fail);
