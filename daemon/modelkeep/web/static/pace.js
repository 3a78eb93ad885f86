// How the queue is worked off while somebody watches. Pure.

const NEWEST_SHARE = 0.2;

// How much of everything that is queued is not hashed yet.
export const bytesLeft = (hashing) =>
  hashing.queued_bytes + hashing.active.reduce((sum, file) => sum + Math.max(0, file.bytes_total - file.bytes_done), 0);

export class Pace {
  // The speed of one moment jumps with every file that ends; a time left that is made of it does so too.
  constructor() {
    this.bytesPerSecond = 0;
    this.mostBytes = 0;
  }

  take(hashing) {
    const left = bytesLeft(hashing);
    const now = hashing.active.reduce((sum, file) => sum + file.bytes_per_s, 0);
    if (!left) {
      this.bytesPerSecond = this.mostBytes = 0;
      return;
    }
    this.mostBytes = Math.max(this.mostBytes, left);
    this.bytesPerSecond = this.bytesPerSecond ? (1 - NEWEST_SHARE) * this.bytesPerSecond + NEWEST_SHARE * now : now;
  }

  // Seconds until everything queued is hashed; null when nothing moves.
  secondsLeft(hashing) {
    return this.bytesPerSecond > 0 ? bytesLeft(hashing) / this.bytesPerSecond : null;
  }
}
