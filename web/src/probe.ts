import type { Map as MapLibre } from 'maplibre-gl';

/**
 * What a test in a browser may ask of the page, as `window.__portal`:
 * `errors`, the texts of what failed in the map or in scripts; `idle()`, which
 * resolves when the map has drawn everything it wants to; `rendered(id)`, how
 * many features of a collection are drawn; `screen(lon, lat)`, where a position is
 * in the page, in CSS pixels; `at(id)`, the page position of the middle of a drawn
 * feature of a collection, or null.
 */
class Probe {
  readonly errors: string[] = [];
  map: MapLibre | null = null;

  attach(map: MapLibre): void {
    this.map = map;
  }

  /** Two frames after the last change, so that what the change asks for has begun. */
  async idle(): Promise<boolean> {
    const map = this.map;
    if (!map) return false;
    for (;;) {
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      if (map.loaded() && map.areTilesLoaded() && !map.isMoving()) return true;
      await new Promise((resolve) => {
        map.once('idle', resolve);
        setTimeout(resolve, 250);
      });
    }
  }

  rendered(collection: string): number {
    const features = this.map?.queryRenderedFeatures().filter((f) => f.source === collection) ?? [];
    return new Set(features.map((f) => f.id)).size;
  }

  zoom(): number {
    return this.map?.getZoom() ?? 0;
  }

  screen(lon: number, lat: number): { x: number; y: number } | null {
    if (!this.map) return null;
    const { x, y } = this.map.project([lon, lat]);
    const frame = this.map.getCanvas().getBoundingClientRect();
    return { x: x + frame.left, y: y + frame.top };
  }

  /** Searches outward from the middle of the map for a place with no feature but one of the collection, and the division, within a few pixels. */
  at(collection: string): { x: number; y: number; fid: number } | null {
    const map = this.map;
    if (!map) return null;
    const canvas = map.getCanvas();
    const frame = canvas.getBoundingClientRect();
    const [cx, cy] = [canvas.clientWidth / 2, canvas.clientHeight / 2];
    for (let r = 0; r < Math.min(cx, cy) - 20; r += 12) {
      for (let k = 0; k < 12; k++) {
        const x = cx + r * Math.cos((k * Math.PI) / 6);
        const y = cy + r * Math.sin((k * Math.PI) / 6);
        const near = map.queryRenderedFeatures([[x - 6, y - 6], [x + 6, y + 6]]);
        const top = near[0];
        if (top?.source === collection && typeof top.id === 'number' && near.every((f) => (f.source === collection && f.id === top.id) || f.source === 'xzq')) {
          return { x: x + frame.left, y: y + frame.top, fid: top.id };
        }
      }
    }
    return null;
  }
}

export const probe = new Probe();

declare global {
  interface Window {
    __portal: Probe;
  }
}

window.__portal = probe;
window.addEventListener('error', (e) => probe.errors.push(e.message));
window.addEventListener('unhandledrejection', (e) => probe.errors.push(String(e.reason)));
