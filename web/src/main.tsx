import { render } from 'preact';
import './probe';
import './style.css';
import './deliveries.css';
import { App } from './app';
import { begin } from './state';

const started = begin();
render(<App started={started} />, document.getElementById('app')!);
