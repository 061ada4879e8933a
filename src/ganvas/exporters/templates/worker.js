// Runs the generator next to the page, so that sliders stay smooth: takes {z, label}, answers {items, ms}.
let session, tensors;

async function open({ script, wasm, model, facts }) {
  const ort = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = wasm;
  session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  tensors = (z, y) => {
    const given = { z: new ort.Tensor("float32", z, [1, ...facts.latent]) };
    if (facts.classes) given.label = new ort.Tensor("int64", BigInt64Array.of(BigInt(y)), [1]);
    if (facts.keywords.length) given.label = new ort.Tensor("uint8", y, [1, y.length]);
    return given;
  };
}

async function draw({ z, y }) {
  const began = performance.now();
  const { items } = await session.run(tensors(z, y));
  return { items: items.data, ms: performance.now() - began };
}

onmessage = async ({ data }) => {
  try {
    postMessage(session ? await draw(data) : (await open(data), { ready: true }));
  } catch (error) {
    postMessage({ error: String(error) });
  }
};
