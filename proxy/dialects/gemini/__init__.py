"""The dialect of the Gemini API: generateContent and the endpoints beside it."""
