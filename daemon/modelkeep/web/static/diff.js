// Which words of two texts differ. Pure.

const CELLS_MAX = 4_000_000;

// Return both texts as pieces {text, differs}, `one` and `other`.
export function diffWords(one, other) {
  const [a, b] = [words(one), words(other)];
  let begin = 0;
  while (begin < a.length && begin < b.length && a[begin] === b[begin]) {
    begin += 1;
  }
  let end = 0;
  while (end < a.length - begin && end < b.length - begin && a.at(-1 - end) === b.at(-1 - end)) {
    end += 1;
  }
  const [inA, inB] = [a.slice(begin, a.length - end), b.slice(begin, b.length - end)];
  const [isInA, isInB] = common(inA, inB);
  const whole = (list, middle) => list.map((_, index) => index < begin || index >= list.length - end || middle[index - begin]);
  return { one: pieces(a, joined(a, whole(a, isInA))), other: pieces(b, joined(b, whole(b, isInB))) };
}

// A space between two words that differ belongs to them.
const joined = (list, isCommon) =>
  isCommon.map((known, at) => known && !(at > 0 && /^\s+$/.test(list[at]) && isCommon[at - 1] === false && isCommon[at + 1] === false));

const words = (text) => text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];

// Return, for each word of both lists, whether it belongs to their longest common part.
function common(a, b) {
  const found = [a.map(() => false), b.map(() => false)];
  if (a.length * b.length > CELLS_MAX) {
    return found;
  }
  const columns = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * columns);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      const here = i * columns + j;
      lengths[here] = a[i] === b[j] ? lengths[here + columns + 1] + 1 : Math.max(lengths[here + columns], lengths[here + 1]);
    }
  }
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (a[i] === b[j]) {
      found[0][i] = found[1][j] = true;
      i += 1;
      j += 1;
    } else if (lengths[(i + 1) * columns + j] >= lengths[i * columns + j + 1]) {
      i += 1;
    } else {
      j += 1;
    }
  }
  return found;
}

function pieces(list, isCommon) {
  const made = [];
  list.forEach((text, index) => {
    const differs = !isCommon[index];
    if (made.at(-1)?.differs === differs) {
      made.at(-1).text += text;
    } else {
      made.push({ text, differs });
    }
  });
  return made;
}
