// torch.randn(n, generator=torch.Generator().manual_seed(seed)) on a CPU, so that a seed is the same picture here as
// everywhere else. The generator is MT19937 (Matsumoto & Nishimura 1998), the transform Box and Muller's (1958).
function mersenne(seed) {
  const N = 624, state = new Uint32Array(N);
  state[0] = seed;
  for (let i = 1; i < N; i++) state[i] = Math.imul(1812433253, state[i - 1] ^ (state[i - 1] >>> 30)) + i;
  let at = N;
  return () => {
    if (at === N) {
      for (let i = 0; i < N; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % N] & 0x7fffffff);
        state[i] = state[(i + 397) % N] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

function normals(n, seed) {
  const next = mersenne(seed), x = new Float32Array(n);
  if (n < 16) {
    // torch draws few numbers one after the other, in double precision and in pairs
    const uniform = () => ((next() & 0x1fffff) * 2 ** 32 + next()) / 2 ** 53;
    for (let i = 0; i < n; i += 2) {
      const [u, v] = [uniform(), uniform()];
      const radius = Math.sqrt(-2 * Math.log1p(-v)), angle = 2 * Math.PI * u;
      x[i] = radius * Math.cos(angle);
      if (i + 1 < n) x[i + 1] = radius * Math.sin(angle);
    }
    return x;
  }
  // and many in blocks of 16, the first half of each with the second; the last block is drawn anew where it is not whole
  const fill = (from, to) => { for (let i = from; i < to; i++) x[i] = (next() & 0xffffff) / 2 ** 24; };
  const transform = (from) => {
    for (let i = from; i < from + 8; i++) {
      const radius = Math.sqrt(-2 * Math.log(1 - x[i])), angle = 2 * Math.PI * x[i + 8];
      x[i] = radius * Math.cos(angle);
      x[i + 8] = radius * Math.sin(angle);
    }
  };
  fill(0, n);
  for (let i = 0; i + 16 <= n; i += 16) transform(i);
  if (n % 16) {
    fill(n - 16, n);
    transform(n - 16);
  }
  return x;
}
