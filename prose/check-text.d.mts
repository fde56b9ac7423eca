import type { VFile } from 'vfile'

export declare function checkText(path: string, text: string): Promise<VFile>
