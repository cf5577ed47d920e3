import { defineConfig } from 'vite';

// The API serves the page itself at "/" and everything it needs below "/portal/".
export default defineConfig({
  base: '/portal/',
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1200,
    reportCompressedSize: false,
  },
  server: {
    // `npm run dev` beside `changde dev`: the API answers from its usual port.
    proxy: {
      '^/(collections|datasets|deliveries|projects|statistics|tilejson|healthz)': 'http://127.0.0.1:8080',
      '^/\\?f=json': 'http://127.0.0.1:8080',
    },
  },
});
